// A program with its weights on a device: the LibTorch side of engine.h's Model.
#pragma once

#include <memory>

#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"

namespace bif::engine {

std::unique_ptr<Model> MakeTorchModel(LoadedProgram loaded);

}  // namespace bif::engine
