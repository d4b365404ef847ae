// Rank-normalised split R-hat and bulk effective sample size (Vehtari, Gelman, Simpson, Carpenter,
// Buerkner 2021, arXiv 1903.08008), and the autocorrelation time. Pure functions; thread-safe.
//
// `values`: chains * draws numbers, chain after chain.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace bif::attribution {

// The larger of the bulk and the folded (tail) split R-hat, after replacing values by normal scores
// of their ranks. 1 means that the halves of all chains look alike. With fewer than 4 draws a
// chain, or if all values are equal: 1.
double RankNormalisedRHat(int64_t chains, int64_t draws, absl::Span<const float> values);

// Effective number of draws of all chains together, from rank-normalised split chains with Geyer's
// initial monotone sequence. With fewer than 4 draws a chain, or if all values are equal: chains *
// draws.
double BulkEss(int64_t chains, int64_t draws, absl::Span<const float> values);

// Integrated autocorrelation time in draws, at least 1: chains * draws over the effective sample
// size of the values themselves (chains not split, ranks not taken).
double AutocorrelationTime(int64_t chains, int64_t draws, absl::Span<const float> values);

}  // namespace bif::attribution
