#include "server/convert_checkpoints.h"

#include "server/call_runtime.h"
#include "server/convert_common.h"

namespace bif::server {
namespace {

absl::StatusOr<engine::SequenceSpec> FromProto(const v1::SequenceSpec& proto) {
  engine::SequenceSpec spec;
  BIF_ASSIGN_OR_RETURN(spec.reduction, EnumFromProto(proto.reduction(),
                                                     v1::TokenReduction_IsValid(proto.reduction()),
                                                     spec.reduction, "spec.sequence.reduction"));
  spec.mask_column = proto.mask_column();
  spec.max_tokens = proto.max_tokens();
  return spec;
}

}  // namespace

absl::StatusOr<jobs::ProgramSpec> FromProto(const v1::ProgramSpec& proto,
                                            const std::string& tenant) {
  jobs::ProgramSpec spec;
  spec.request = {.tenant = tenant, .id = proto.request_id()};
  spec.display_name = proto.display_name();
  if (proto.loss() == v1::LOSS_KIND_UNSPECIFIED) {
    return FieldError("spec.loss",
                      "is missing; say CROSS_ENTROPY, SQUARED_ERROR, PROGRAM_LOSSES or NEXT_TOKEN");
  }
  BIF_ASSIGN_OR_RETURN(spec.loss, EnumFromProto(proto.loss(), v1::LossKind_IsValid(proto.loss()),
                                                spec.loss, "spec.loss"));
  spec.target_column = proto.target_column();
  for (const v1::InputBinding& input : proto.inputs()) {
    spec.inputs.push_back({.input = input.input(),
                           .column = input.column(),
                           .scale = {input.scale().begin(), input.scale().end()},
                           .shift = {input.shift().begin(), input.shift().end()}});
  }
  BIF_ASSIGN_OR_RETURN(spec.sequence, FromProto(proto.sequence()));
  return spec;
}

jobs::CheckpointSpec FromProto(const v1::CheckpointSpec& proto, const std::string& tenant) {
  return {.request = {.tenant = tenant, .id = proto.request_id()},
          .display_name = proto.display_name(),
          .program = proto.program()};
}

void ToProto(const jobs::Program& program, v1::Program* proto) {
  proto->set_name(program.name);
  proto->set_digest(program.digest);
  proto->set_display_name(program.display_name);
  proto->set_loss(static_cast<v1::LossKind>(program.loss));
  proto->set_target_column(program.target_column);
  for (const engine::InputBinding& input : program.inputs) {
    v1::InputBinding* binding = proto->add_inputs();
    binding->set_input(input.input);
    binding->set_column(input.column);
    binding->mutable_scale()->Assign(input.scale.begin(), input.scale.end());
    binding->mutable_shift()->Assign(input.shift.begin(), input.shift.end());
  }
  if (program.info.sequences) {
    v1::SequenceSpec& sequence = *proto->mutable_sequence();
    sequence.set_reduction(static_cast<v1::TokenReduction>(program.sequence.reduction));
    sequence.set_mask_column(program.sequence.mask_column);
    sequence.set_max_tokens(static_cast<uint32_t>(program.sequence.max_tokens));
  }
  for (const TensorSpec& column : program.info.columns) ToProto(column, proto->add_columns());
  proto->set_parameters(program.parameter_elements);
  proto->set_classes(static_cast<uint32_t>(program.info.classes));
  proto->set_nodes(static_cast<uint32_t>(program.info.nodes));
  ToProto(program.create_time, proto->mutable_create_time());
}

void ToProto(const jobs::Checkpoint& checkpoint, v1::Checkpoint* proto) {
  proto->set_name(checkpoint.name);
  proto->set_digest(checkpoint.digest);
  proto->set_display_name(checkpoint.display_name);
  proto->set_program(checkpoint.program);
  proto->set_parameters(checkpoint.parameter_elements);
  ToProto(checkpoint.create_time, proto->mutable_create_time());
}

void ToProto(const jobs::ParameterSelection& selection, v1::ListParametersResponse* proto) {
  for (const auto& parameter : selection.parameters) {
    v1::ParameterInfo* info = proto->add_parameters();
    info->set_name(parameter.info.name);
    info->mutable_shape()->Assign(parameter.info.shape.begin(), parameter.info.shape.end());
    info->set_elements(parameter.info.elements);
    info->set_moves(parameter.moves);
  }
  proto->set_moving_elements(selection.moving_elements);
  proto->set_total_elements(selection.total_elements);
}

void ToProto(const jobs::Page<jobs::Program>& page, v1::ListProgramsResponse* proto) {
  for (const jobs::Program& program : page.items) ToProto(program, proto->add_programs());
  proto->set_next_page_token(page.next_page_token);
}

void ToProto(const jobs::Page<jobs::Checkpoint>& page, v1::ListCheckpointsResponse* proto) {
  for (const jobs::Checkpoint& checkpoint : page.items)
    ToProto(checkpoint, proto->add_checkpoints());
  proto->set_next_page_token(page.next_page_token);
}

}  // namespace bif::server
