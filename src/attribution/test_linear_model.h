// A linear model with squared loss, of which everything is known, and SGLD on it with tangents, in
// plain double precision: what tests and the benchmark of estimators compare with.
//
//   l_i(w) = (a_i . w - y_i)^2 / 2,
//   p(w) ~ exp(-sum_i beta_i l_i(w) - gamma/2 |w - w*|^2) = N(mu, S),   beta_i = nbeta/n,
//   S^-1 = P = sum_i beta_i a_i a_i^T + gamma I,   mu = S (sum_i beta_i a_i y_i + gamma w*),
//   E[l_i] = (r_i^2 + a_i.S a_i)/2,   Cov(l_i, l_j) = r_i r_j (a_i.S a_j) + (a_i.S a_j)^2 / 2
// with residuals r_i = a_i . mu - y_i at mu.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "src/attribution/test_series.h"

namespace bif::attribution {

// Square, symmetric, row by row.
struct TestMatrix {
  explicit TestMatrix(int n) : size(n), values(static_cast<size_t>(n) * n) {}
  double& at(int i, int j) { return values[static_cast<size_t>(i) * size + j]; }
  double at(int i, int j) const { return values[static_cast<size_t>(i) * size + j]; }
  std::vector<double> Times(const double* x) const {
    std::vector<double> product(size);
    for (int i = 0; i < size; ++i) {
      for (int j = 0; j < size; ++j) product[i] += at(i, j) * x[j];
    }
    return product;
  }
  // Of a positive definite matrix, by Gauss and Jordan without pivots.
  TestMatrix Inverse() const {
    TestMatrix left = *this;
    TestMatrix right(size);
    for (int i = 0; i < size; ++i) right.at(i, i) = 1;
    for (int c = 0; c < size; ++c) {
      const double pivot = 1 / left.at(c, c);
      for (int j = 0; j < size; ++j) {
        left.at(c, j) *= pivot;
        right.at(c, j) *= pivot;
      }
      for (int i = 0; i < size; ++i) {
        const double factor = left.at(i, c);
        if (i == c || factor == 0) continue;
        for (int j = 0; j < size; ++j) {
          left.at(i, j) -= factor * left.at(c, j);
          right.at(i, j) -= factor * right.at(c, j);
        }
      }
    }
    return right;
  }

  int size;
  std::vector<double> values;
};

// The first `rows` samples are trained on, and as many as there are `queries` follow that are not.
class LinearModel {
 public:
  LinearModel(int rows, int queries, int parameters, double nbeta, double gamma, uint64_t seed)
      : rows_(rows),
        queries_(queries),
        parameters_(parameters),
        nbeta_(nbeta),
        gamma_(gamma),
        features_(static_cast<size_t>(rows + queries) * parameters),
        targets_(rows + queries),
        anchor_(parameters),
        weights_(rows, nbeta / rows),
        precision_(parameters),
        covariance_(parameters) {
    TestRandom random(seed);
    for (double& w : anchor_) w = random.Normal();
    for (int i = 0; i < rows + queries; ++i) {
      double output = 0;
      for (int p = 0; p < parameters; ++p) {
        const double a = random.Normal();
        features_[static_cast<size_t>(i) * parameters + p] = a;
        output += a * anchor_[p];
      }
      targets_[i] = output + random.Normal();
    }
    Solve();
  }

  // The posterior in which sample i has `weight` instead of nbeta/n.
  void SetWeight(int i, double weight) { weights_[i] = weight; }
  void Solve() {
    TestMatrix precision(parameters_);
    std::vector<double> pull(parameters_);
    for (int p = 0; p < parameters_; ++p) {
      precision.at(p, p) = gamma_;
      pull[p] = gamma_ * anchor_[p];
    }
    for (int i = 0; i < rows_; ++i) {
      const double* a = Features(i);
      for (int p = 0; p < parameters_; ++p) {
        pull[p] += weights_[i] * a[p] * targets_[i];
        for (int q = 0; q < parameters_; ++q) precision.at(p, q) += weights_[i] * a[p] * a[q];
      }
    }
    precision_ = precision;
    covariance_ = precision.Inverse();
    mean_ = covariance_.Times(pull.data());
  }

  int rows() const { return rows_; }
  int queries() const { return queries_; }
  int parameters() const { return parameters_; }
  double nbeta() const { return nbeta_; }
  double gamma() const { return gamma_; }
  const double* Features(int i) const {
    return features_.data() + static_cast<size_t>(i) * parameters_;
  }
  const std::vector<double>& mean() const { return mean_; }
  const TestMatrix& precision() const { return precision_; }

  double Product(int i, const double* w) const {
    const double* a = Features(i);
    double sum = 0;
    for (int p = 0; p < parameters_; ++p) sum += a[p] * w[p];
    return sum;
  }
  double Residual(int i, const double* w) const { return Product(i, w) - targets_[i]; }
  double Loss(int i, const double* w) const {
    const double r = Residual(i, w);
    return 0.5 * r * r;
  }

  double ExpectedLoss(int i) const {
    const double r = Residual(i, mean_.data());
    return 0.5 * (r * r + Overlap(i, i));
  }
  // BIF(i, j) = -Cov(l_i, l_j).
  double Bif(int i, int j) const {
    const double overlap = Overlap(i, j);
    return -(Residual(i, mean_.data()) * Residual(j, mean_.data()) * overlap +
             0.5 * overlap * overlap);
  }

 private:
  double Overlap(int i, int j) const {  // a_i . S a_j
    const std::vector<double> product = covariance_.Times(Features(j));
    return Product(i, product.data());
  }

  int rows_, queries_, parameters_;
  double nbeta_, gamma_;
  std::vector<double> features_, targets_, anchor_, weights_, mean_;
  TestMatrix precision_, covariance_;
};

// One chain of SGLD with the gradient of all samples, from mu, with a tangent a query, from zero.
// `with_tangents` = 0 leaves them out.
class LinearChain {
 public:
  LinearChain(const LinearModel& model, double step_size, int with_tangents, uint64_t seed)
      : model_(model),
        step_size_(step_size),
        random_(seed),
        w_(model.mean()),
        step_(model.parameters()),
        tangents_(with_tangents, std::vector<double>(model.parameters())) {}

  void Advance(int64_t steps) {
    const int n = model_.parameters();
    const double noise = std::sqrt(step_size_);
    for (int64_t s = 0; s < steps; ++s) {
      for (size_t q = 0; q < tangents_.size(); ++q) {
        std::vector<double>& v = tangents_[q];
        const int query = model_.rows() + static_cast<int>(q);
        const double slope = model_.Residual(query, w_.data());
        const double* a = model_.Features(query);
        Multiply(v.data());
        for (int p = 0; p < n; ++p) v[p] -= 0.5 * step_size_ * (step_[p] + slope * a[p]);
      }
      for (int p = 0; p < n; ++p) w_[p] -= model_.mean()[p];
      Multiply(w_.data());
      for (int p = 0; p < n; ++p) {
        w_[p] += model_.mean()[p] - 0.5 * step_size_ * step_[p] + noise * random_.Normal();
      }
    }
  }
  double Loss(int i) const { return model_.Loss(i, w_.data()); }
  // grad l_i(w) . v_q
  double Slope(int i, int query) const {
    return model_.Residual(i, w_.data()) * model_.Product(i, tangents_[query].data());
  }

 private:
  void Multiply(const double* x) {  // P x, where P is the Hessian of nbeta L + gamma/2 |w - w*|^2
    const int n = model_.parameters();
    const double* row = model_.precision().values.data();
    for (int p = 0; p < n; ++p) step_[p] = 0;
    for (int q = 0; q < n; ++q, row += n) {
      for (int p = 0; p < n; ++p) step_[p] += row[p] * x[q];
    }
  }

  const LinearModel& model_;
  double step_size_;
  TestRandom random_;
  std::vector<double> w_, step_;
  std::vector<std::vector<double>> tangents_;
};

}  // namespace bif::attribution
