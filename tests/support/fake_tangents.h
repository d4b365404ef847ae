// Tangents of the fake engine's chains: Hessian products and slopes in closed form, sums in double.
// The chain steps as FakeChains does, bit for bit; a tangent does not depend on its companions.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"
#include "tests/support/fake_chains.h"
#include "tests/support/fake_engine.h"
#include "tests/support/fake_model.h"

namespace bif::testing {

// `chain`: a group of one. `queries` must outlive the stretch. See engine::Model::StartTangents.
absl::StatusOr<std::unique_ptr<engine::TangentStretch>> StartFakeTangents(
    std::shared_ptr<FakeEngineHooks> hooks, std::unique_ptr<FakeChains> chain,
    const FakeData& queries, const engine::Observable& observable,
    absl::Span<const float> tangents);

}  // namespace bif::testing
