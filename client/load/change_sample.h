// Queries that the server has never seen, made of samples that it has.
#pragma once

#include "bif/v1/types.pb.h"
#include "client/load/random.h"

namespace bif::client::load {

// Changes `sample` a little, so that it is still one that the posterior's program takes:
//   - tokens (int32 or int64 with one dimension and at least two elements) get another order;
//   - where a sample has no tokens, every float32 moves by up to 0.1 % of its value and by up to
//     0.001, and eight elements of each uint8 tensor with two dimensions or more move by one.
// Labels, masks and lengths stay as they are. Clears the sample's id and digest. False if nothing
// in the sample may be changed.
bool ChangeSample(Random& random, v1::Sample& sample);

}  // namespace bif::client::load
