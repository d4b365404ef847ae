// Rankings and what they rest on, as text.
#pragma once

#include <string>

#include "client/cli/session.h"

namespace bif::client {

void PrintAttribution(Session& session, const v1::AttributeResponse& response);

// "bif, pooled, of the loss; 2 chains x 100 draws, 20 jackknife blocks; left out: chain 3".
std::string ProvenanceText(const v1::Provenance& provenance);
// Its second half: the draws that went in, and those that were left out.
std::string DrawsText(const v1::Provenance& provenance);

// "loss", "logit 3".
std::string ObservableText(const v1::Observable& observable);

// What a score says in words: "helps", "hurts", "constant", with " ?" when it is not
// distinguishable from zero.
std::string EffectText(const v1::Score& score);

}  // namespace bif::client
