// What the pathwise part of an answer rests on, as text.
#pragma once

#include <string>
#include <vector>

#include "bif/v1/attribution.pb.h"

namespace bif::client {

// "slopes at 80 draws of 4 stretches, every 20 steps, ...".
std::string SlopesText(const v1::PathwiseProvenance& provenance);

// A line each: what a reader should know before trusting the numbers. Of stretches that were left
// out, missing states, a preconditioner held fixed, derivatives by differences, estimates that
// disagree.
std::vector<std::string> PathwiseNotes(const v1::PathwiseProvenance& provenance);

// "decided: 9 of 10 helpful (4 in doubt), 10 of 10 harmful; 120 candidates refined".
std::string RefinedText(const v1::RefinedCandidates& refined, int helpful, int harmful);

}  // namespace bif::client
