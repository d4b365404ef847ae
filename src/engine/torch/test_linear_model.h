// The test program "linear": its six rows, and the local posterior around it in closed form. Linear
// models with squared error have Gaussian ones, and full-batch SGLD at step eps a Gaussian
// stationary law: N(mu, C) with
//   H = (nbeta/n) A^T A + gamma I,   mu = H^-1 ((nbeta/n) A^T y + gamma w*),   C = (H - eps/4
//   H^2)^-1.
#pragma once

#include <array>
#include <vector>

#include "src/engine/torch/test_programs.h"

namespace bif::engine::testing {

using Vector = std::array<double, 3>;
using Matrix = std::array<Vector, 3>;

inline constexpr int kRows = 6;
inline constexpr double kA[kRows][3] = {{1, 0.5, -0.3},  {-0.8, 1.2, 0.4},  {0.3, -0.7, 1.5},
                                        {1.4, 0.2, 0.6}, {-0.5, -1.1, 0.9}, {0.7, 0.9, -1.3}};
inline constexpr double kY[kRows] = {1.0, -0.4, 0.8, 0.2, -1.2, 0.5};
inline constexpr Vector kAnchor = {0.3, -0.2, 0.5};  // of make_sampling_programs.py

inline Matrix Product(const Matrix& a, const Matrix& b) {
  Matrix c{};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 3; ++k) c[i][j] += a[i][k] * b[k][j];
  return c;
}

inline Vector Product(const Matrix& a, const Vector& b) {
  Vector c{};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) c[i] += a[i][j] * b[j];
  return c;
}

inline Matrix Inverse(const Matrix& m) {  // by cofactors
  Matrix inverse{};
  double determinant = 0;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      const int a = (i + 1) % 3, b = (i + 2) % 3, c = (j + 1) % 3, d = (j + 2) % 3;
      inverse[j][i] = m[a][c] * m[b][d] - m[a][d] * m[b][c];
    }
    determinant += m[0][i] * inverse[i][0];
  }
  for (Vector& row : inverse)
    for (double& x : row) x /= determinant;
  return inverse;
}

struct LinearPosterior {
  Matrix h{}, h_inverse{};
  Vector mu{};
  Matrix covariance{};

  // The terms of weight decay and small batches are left out.
  explicit LinearPosterior(const SamplerSettings& settings) {
    Vector b{};
    for (int i = 0; i < 3; ++i) {
      for (int r = 0; r < kRows; ++r) {
        for (int j = 0; j < 3; ++j) h[i][j] += settings.nbeta / kRows * kA[r][i] * kA[r][j];
        b[i] += settings.nbeta / kRows * kA[r][i] * kY[r];
      }
      h[i][i] += settings.gamma;
      b[i] += settings.gamma * kAnchor[i];
    }
    h_inverse = Inverse(h);
    mu = Product(h_inverse, b);
    Matrix precision = h;
    const Matrix h_squared = Product(h, h);
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j) precision[i][j] -= settings.step_size / 4 * h_squared[i][j];
    covariance = Inverse(precision);
  }
};

}  // namespace bif::engine::testing
