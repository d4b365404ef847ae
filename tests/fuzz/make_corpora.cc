// Writes the seeds from which the fuzzers set out: small files that are right, one of each kind.
//
//   make_corpora tests/fuzz/corpora build/release/programs
//
// The second folder holds programs that PyTorch exported (the target test_programs). Seeds are
// named seed-*; what fuzzers have found beside them has other names, and stays.
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "bif/v1/attribution.pb.h"
#include "bif/v1/checkpoints.pb.h"
#include "bif/v1/datasets.pb.h"
#include "bif/v1/posteriors.pb.h"
#include "server/convert_settings.h"
#include "src/base/digest.h"
#include "src/base/files.h"
#include "src/engine/draw_codec.h"
#include "src/engine/program_file/json_fields.h"
#include "src/engine/program_file/zip_archive.h"
#include "src/jobs/pagination.h"
#include "src/jobs/resumable_stream.h"
#include "src/storage/draw_file.h"
#include "src/storage/sample_block.h"
#include "src/storage/trace_tile.h"
#include "tests/support/must.h"

namespace bif {
namespace {

std::string corpora;

void Seed(const std::string& target, const std::string& name, const std::string& bytes) {
  const std::string folder = corpora + "/" + target;
  std::filesystem::create_directories(folder);
  std::ofstream file(folder + "/seed-" + name, std::ios::binary);
  if (!(file << bytes)) throw std::runtime_error("cannot write in " + folder);
}

template <typename Number>
std::string Bytes(Number number) {
  return std::string(reinterpret_cast<const char*>(&number), sizeof(number));
}
std::string Byte(int value) { return std::string(1, static_cast<char>(value)); }

std::string Gzip(const std::string& bytes) {
  std::string packed(compressBound(bytes.size()) + 32, '\0');
  z_stream stream = {};
  if (deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("zlib");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// --- Programs

// A stored zip of one entry (APPNOTE.TXT, 4.3.7 to 4.3.16).
std::string SmallZip(const std::string& name, const std::string& content) {
  const std::string sizes = Bytes<uint32_t>(static_cast<uint32_t>(content.size())) +
                            Bytes<uint32_t>(static_cast<uint32_t>(content.size())) +
                            Bytes<uint16_t>(static_cast<uint16_t>(name.size()));
  const std::string common = std::string(10, '\0') + Bytes<uint32_t>(0) + sizes;
  const std::string local = "PK\3\4" + common + Bytes<uint16_t>(0) + name + content;
  const std::string entry =
      "PK\1\2" + Bytes<uint16_t>(20) + common + std::string(12, '\0') + Bytes<uint32_t>(0) + name;
  return local + entry + "PK\5\6" + std::string(4, '\0') + Bytes<uint16_t>(1) + Bytes<uint16_t>(1) +
         Bytes<uint32_t>(static_cast<uint32_t>(entry.size())) +
         Bytes<uint32_t>(static_cast<uint32_t>(local.size())) + Bytes<uint16_t>(0);
}

void Programs(const std::string& folder) {
  const std::string zip = SmallZip("name", "content");
  Must(engine::ZipArchive::Parse(zip));
  Seed("zip", "one-entry", zip);
  Seed("zip", "comment", zip.substr(0, zip.size() - 2) + Bytes<uint16_t>(5) + "hello");
  for (const char* name : {"mlp", "frozen", "bad_branch", "bad_compressed"}) {
    const std::string bytes = Must(ReadFile(folder + "/" + name + ".pt2"));
    Seed("program", name, bytes);
    if (std::string_view(name) == "bad_compressed") {
      Seed("zip", name, bytes);
      continue;
    }
    const engine::ZipArchive archive = Must(engine::ZipArchive::Parse(bytes));
    for (const auto& [entry, content] : archive.entries()) {
      if (entry.find("/models/") == entry.npos) continue;
      const engine::Json module = engine::Json::parse(content).at("graph_module");
      engine::Json both = module.at("graph");  // the target reads a graph and a signature
      both.update(module.at("signature"));
      Seed("graph", name, both.dump());
    }
  }
}

// --- Weights and samples

std::string Safetensors(const std::string& header, size_t data_bytes) {
  return Bytes<uint64_t>(header.size()) + header + std::string(data_bytes, '\1');
}

void WeightsAndSamples() {
  Seed("safetensors", "two-tensors",
       Safetensors(R"({"__metadata__":{"format":"pt"},)"
                   R"("w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                   R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[24,28]}})",
                   28));
  Seed("safetensors", "scalar-and-empty",
       Safetensors(R"({"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                   R"("e":{"dtype":"U8","shape":[0,5],"data_offsets":[0,0]}})",
                   8));
  Seed(
      "weight_index", "two-shards",
      R"({"metadata":{"total_size":24},"weight_map":)"
      R"({"a.weight":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})");
  Seed("weight_index", "one-shard", R"({"weight_map":{"a":"model.safetensors"}})");

  const std::string images =
      std::string("\0\0\x08\x03\0\0\0\3\0\0\0\2\0\0\0\2", 16) + "abcdefghijkl";
  Seed("import", "idx", Byte(0) + Byte(0) + images);
  Seed("import", "idx-declared", Byte(0) + Byte(1) + images);
  Seed("import", "idx-gzip", Byte(0) + Byte(2) + Gzip(images));
  Seed("import", "idx-float",
       Byte(0) + Byte(4) + std::string("\0\0\x0d\x01\0\0\0\2\x3f\x80\0\0\x40\0\0\0", 16));
  const std::string records = std::string(1, '\7') + std::string(3072, 'x');
  Seed("import", "cifar", Byte(1) + Byte(0) + records + records);
  Seed("import", "cifar-declared", Byte(1) + Byte(5) + records);
  const std::string tokens =
      Safetensors(R"({"tokens":{"dtype":"I32","shape":[5],"data_offsets":[0,20]},)"
                  R"("tokens.lengths":{"dtype":"U8","shape":[2],"data_offsets":[20,22]},)"
                  R"("label":{"dtype":"U8","shape":[2],"data_offsets":[22,24]}})",
                  0) +
      std::string(20, '\1') + "\2\3" + "\4\5";
  Seed("import", "safetensors-tokens", Byte(2) + Byte(3) + tokens);
  Seed("import", "safetensors", Byte(2) + Byte(0) + tokens);
  Seed("import", "safetensors-image",
       Byte(2) + Byte(1) +
           Safetensors(R"({"image":{"dtype":"U8","shape":[2,2,2],"data_offsets":[0,8]}})", 8));

  std::string npy = "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }";
  npy += std::string(118 - npy.size() - 1, ' ') + "\n";
  std::string array = "\x93NUMPY\1" + Byte(0) + Bytes<uint16_t>(118) + npy;
  for (int64_t i = 0; i < 6; ++i) array += Bytes(i);
  Seed("replay_batches", "npy", Byte(0) + array);
  Seed("replay_batches", "json", Byte(1) + "[[0, 1], [2, 4294967295]]");
}

// --- What the daemon writes

void Storage() {
  std::vector<float> numbers(130);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = 0.01f * static_cast<float>(i) - 0.5f;
  std::string draw;
  for (int codec = 1; codec <= 4; ++codec) {
    const std::string encoded =
        Must(engine::EncodeDraw(static_cast<engine::DrawCodec>(codec), numbers));
    Seed("draw_codec", "codec-" + std::to_string(codec),
         Byte(codec - 1) + Bytes<uint16_t>(130) + encoded);
    draw = encoded;
  }
  const auto frame = [](storage::FrameHeader header, std::string payload) {
    header.posterior = 7;
    header.payload_bytes = payload.size();
    const std::string bytes = storage::EncodeFrameHeader(header, payload);
    payload.resize(storage::FrameBytes(payload.size()) - storage::kFrameHeaderBytes);
    return bytes + payload;
  };
  using storage::FrameHeader;
  const std::string short_draw = draw.substr(0, 160);
  Seed("draw_file", "draws",
       Byte(0) + Byte(0) +
           frame({.kind = FrameHeader::kDraw, .codec = 4, .elements = 40}, short_draw) +
           frame({.kind = FrameHeader::kDraw, .codec = 4, .index = 1, .elements = 40}, short_draw));
  Seed("draw_file", "state",
       Byte(1) + Byte(0) +
           frame({.kind = FrameHeader::kState, .index = 3, .elements = 40}, short_draw) +
           frame({.kind = FrameHeader::kState, .index = 3}, ""));

  const storage::TileKey tile_key = {{.posterior = 3, .array = 0x10000, .dataset = 2}, 1, 256, 64};
  for (const auto type : {storage::TraceType::kFloat32, storage::TraceType::kFloat16}) {
    const std::string name = type == storage::TraceType::kFloat32 ? "float32" : "float16";
    Seed("trace_tile", name + "-small",
         storage::EncodeTile(tile_key, {.slots = 3, .draws = 2}, type, numbers.data(), 3));
    Seed("trace_tile", name + "-packed",
         storage::EncodeTile(tile_key, {.slots = 20, .draws = 20}, type,
                             std::vector<float>(400, 1.5f).data(), 20));
  }

  storage::BlockKey block_key = {2, storage::BlockKind::kIdentities, 256};
  Seed("sample_block", "identities",
       Byte(0) + storage::EncodeIdentities(
                     block_key, {{"a", Sha256Of("a")}, {"some longer id", Sha256Of("b")}}));
  block_key.kind = storage::BlockKind::kTensors;
  SampleBatch batch;
  batch.rows = 2;
  batch.columns.push_back({{"image", DType::kUint8, {2, 2}}, std::vector<std::byte>(8)});
  batch.columns.push_back({{"tokens", DType::kInt32, {-1}}, std::vector<std::byte>(20), {8, 20}});
  Seed("sample_block", "tensors", Byte(1) + storage::EncodeTensors(block_key, batch, 0, 2));
  Seed("log_check", "records", Byte(1) + Bytes<uint16_t>(30) + Byte(5) + "hello" + Byte(3) + "you");
  Seed("log_check", "zeros", Byte(0) + std::string(40, '\0'));
}

// --- What callers say

void Requests() {
  const std::string listing = "samples of datasets/a";
  const std::string bound = Byte(static_cast<int>(listing.size())) + listing;
  Seed("tokens", "page", bound + jobs::NextPageToken(listing, "sample-17"));
  Seed("tokens", "stream",
       bound + Must(jobs::ResumableStream::Open({.request = listing}, "answered from"))
                   .TokenBefore(4096));
  Seed("tokens", "position", bound + "sample-17");

  Seed("config", "all-fields", Must(ReadFile("deploy/bifd.textproto")));
  Seed("config", "short", "device { name: \"cpu\" threads: 2 }\nlisten_typo: 3\n");
  Seed("config", "roots", "storage { allowed_roots: [\"/a\", \"/b\"] scrub_hours: 24 }");

  int choice = 0;
  const auto request = [&choice](const std::string& name,
                                 const google::protobuf::Message& message) {
    Seed("request", name, Byte(choice++) + message.SerializeAsString());
  };
  v1::SamplerSettings settings;
  engine::SamplerSettings made;
  made.step_size = 1e-4;
  made.nbeta = 30;
  made.box = 0.5;
  made.batch_order = engine::BatchOrder::kReplay;
  made.replay_batches = {{1, 2}, {3}};
  made.parameters.include = {"fc*"};
  server::ToProto(made, &settings);
  v1::Sample sample;
  sample.set_id("a");
  const auto tensor = [&sample](const char* name, v1::DType dtype, std::vector<int64_t> shape,
                                const std::string& data) {
    v1::Tensor& made_tensor = *sample.add_tensors();
    made_tensor.mutable_spec()->set_name(name);
    made_tensor.mutable_spec()->set_dtype(dtype);
    made_tensor.mutable_spec()->mutable_shape()->Assign(shape.begin(), shape.end());
    made_tensor.set_data(data);
  };
  tensor("image", v1::UINT8, {2, 2}, "abcd");
  tensor("tokens", v1::INT32, {2}, std::string(8, '\1'));
  tensor("weight", v1::FLOAT32, {}, std::string(4, '\0'));
  v1::SampleSet by_id;
  by_id.set_dataset("datasets/a");
  by_id.add_sample_ids("x");
  v1::SampleSet inline_samples;
  *inline_samples.add_inline_() = sample;

  v1::CreatePosteriorRequest posterior;
  posterior.set_checkpoint("checkpoints/0123456789ab");
  posterior.set_dataset("datasets/a");
  *posterior.mutable_settings() = settings;
  request("create-posterior", posterior);
  v1::AttributeRequest attribute;
  attribute.set_posterior("posteriors/0123456789ab");
  *attribute.mutable_queries() = inline_samples;
  *attribute.mutable_candidates() = by_id;
  attribute.set_top_k(3);
  attribute.mutable_observable()->set_kind(v1::LOGIT);
  attribute.mutable_observable()->set_logit_index(2);
  request("attribute", attribute);
  v1::ScoreMatrixRequest scores;
  *scores.mutable_queries() = by_id;
  scores.set_standard_errors(true);
  request("score-matrix", scores);
  v1::SelfInfluenceRequest self_influence;
  *self_influence.mutable_candidates() = by_id;
  request("self-influence", self_influence);
  v1::TokenInfluenceRequest token_influence;
  *token_influence.mutable_query() = inline_samples;
  token_influence.set_span_end(4);
  request("token-influence", token_influence);
  v1::ExportTracesRequest traces;
  *traces.mutable_samples() = by_id;
  request("export-traces", traces);
  v1::TraceSamplesRequest trace;
  trace.add_sample_ids("x");
  request("trace-samples", trace);
  v1::CreateDatasetRequest dataset;
  dataset.set_dataset_id("a");
  *dataset.add_columns() = sample.tensors(0).spec();
  request("create-dataset", dataset);
  v1::ImportSamplesRequest import;
  import.set_dataset("datasets/a");
  import.mutable_idx()->add_columns()->set_path("images-idx3-ubyte");
  request("import-samples", import);
  v1::ProgramSpec program;
  program.set_loss(v1::CROSS_ENTROPY);
  program.add_inputs()->set_column("image");
  program.mutable_inputs(0)->add_scale(0.5f);
  request("program", program);
  request("samples", inline_samples);
  Seed("request", "name", Byte(choice++) + "datasets/a/samples/x/y");
  google::protobuf::Duration duration;
  duration.set_seconds(5);
  duration.set_nanos(7);
  request("duration", duration);
  request("settings", settings);
}

}  // namespace
}  // namespace bif

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_corpora CORPORA PROGRAMS   (from the repository's root)\n");
    return 2;
  }
  bif::corpora = argv[1];
  bif::Programs(argv[2]);
  bif::WeightsAndSamples();
  bif::Storage();
  bif::Requests();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "make_corpora: %s\n", error.what());
  return 1;
}
