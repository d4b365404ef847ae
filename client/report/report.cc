#include "client/report/report.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <kainjow/mustache.hpp>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/attribution_output.h"
#include "client/cli/names.h"
#include "client/cli/output.h"
#include "client/cli/posterior_output.h"
#include "client/report/png.h"
#include "client/report/svg.h"

namespace bif::client {

// The page, embedded from report.html at build time.
extern const char kReportTemplate[];

namespace {

using kainjow::mustache::data;

data Pair(const std::string& label, const std::string& value) {
  data pair;
  pair["label"] = label;
  pair["value"] = value;
  return pair;
}

// A typographic minus, which lines up with digits and does not break.
std::string Signed(const std::string& number) {
  return absl::StartsWith(number, "-") ? absl::StrCat("−", number.substr(1)) : number;
}

const v1::Tensor* FindTensor(const v1::Sample& sample, const std::string& column) {
  for (const v1::Tensor& tensor : sample.tensors()) {
    if (tensor.spec().name() == column) return &tensor;
  }
  return nullptr;
}

// The picture of a sample as a data URI; nothing if it has none.
std::optional<std::string> Picture(const v1::Sample& sample, const std::string& column) {
  for (const v1::Tensor& tensor : sample.tensors()) {
    if (!column.empty() && tensor.spec().name() != column) continue;
    const absl::StatusOr<Image> image = ImageFromTensor(tensor);
    if (!image.ok()) continue;
    const absl::StatusOr<std::string> uri = PngDataUri(*image);
    if (uri.ok()) return *uri;
  }
  return std::nullopt;
}

// The class of a sample in words, or its number if there are too few names.
std::optional<std::string> ClassOf(const v1::Sample& sample, const ReportContent& content) {
  if (content.label_column.empty()) return std::nullopt;
  const v1::Tensor* tensor = FindTensor(sample, content.label_column);
  if (tensor == nullptr || tensor->spec().shape_size() != 0) return std::nullopt;
  int64_t label = 0;
  const std::string& bytes = tensor->data();
  if (tensor->spec().dtype() == v1::INT64 && bytes.size() == sizeof(int64_t)) {
    std::memcpy(&label, bytes.data(), sizeof(label));
  } else if (tensor->spec().dtype() == v1::INT32 && bytes.size() == sizeof(int32_t)) {
    int32_t narrow = 0;
    std::memcpy(&narrow, bytes.data(), sizeof(narrow));
    label = narrow;
  } else if (tensor->spec().dtype() == v1::UINT8 && bytes.size() == 1) {
    label = static_cast<uint8_t>(bytes[0]);
  } else {
    return std::nullopt;
  }
  if (label >= 0 && label < static_cast<int64_t>(content.class_names.size())) {
    return content.class_names[static_cast<size_t>(label)];
  }
  return absl::StrCat("class ", label);
}

std::optional<std::string> NoteOf(const ReportContent& content, const std::string& dataset,
                                  const std::string& id, bool is_candidate) {
  auto note = content.notes.find(absl::StrCat(ShortName(dataset), "/", id));
  if (note == content.notes.end() && is_candidate) note = content.notes.find(id);
  if (note == content.notes.end()) return std::nullopt;
  return note->second;
}

std::string SampleName(const std::string& dataset, const std::string& id) {
  return absl::StrCat(dataset, "/samples/", id);
}

// What queries and ranked samples have in common: id, picture or text, class, note. Absent ones are
// false, so that the template can leave them out.
data SampleCard(const ReportContent& content, const std::string& dataset, const std::string& id,
                bool is_candidate) {
  data card;
  card["id"] = id;
  card["image"] = data(data::type::bool_false);
  card["passage"] = data(data::type::bool_false);
  card["label"] = data(data::type::bool_false);
  card["note"] = data(data::type::bool_false);
  const std::string name = SampleName(dataset, id);
  if (const auto pieces = content.pieces.find(name); pieces != content.pieces.end()) {
    data passage;
    passage["tokens"] = Passage(pieces->second);
    card["passage"] = std::move(passage);
  }
  const auto sample = content.samples.find(name);
  if (sample != content.samples.end()) {
    if (const auto uri = Picture(sample->second, content.image_column)) {
      data image;
      image["uri"] = *uri;
      card["image"] = std::move(image);
    }
    if (const auto label = ClassOf(sample->second, content)) card["label"] = *label;
  }
  if (const auto note = NoteOf(content, dataset, id, is_candidate)) card["note"] = *note;
  return card;
}

double LargestScore(const v1::QueryRanking& ranking) {
  double largest = 0;
  for (const auto* end : {&ranking.helpful(), &ranking.harmful()}) {
    for (const v1::Score& score : *end) {
      if (std::isfinite(score.score()))
        largest = std::max<double>(largest, std::abs(score.score()));
    }
  }
  return largest;
}

// Tints the text of a ranked sample, and adds the map of its tokens against the query's.
void AddHeat(const ReportContent& content, const std::string& query, const std::string& training,
             data& card) {
  card["map"] = data(data::type::bool_false);
  const auto heat = content.heat.find({query, training});
  const auto asked = content.pieces.find(query), pieces = content.pieces.find(training);
  if (heat == content.heat.end() || asked == content.pieces.end() ||
      pieces == content.pieces.end()) {
    return;
  }
  data passage;
  passage["tokens"] = Passage(pieces->second, heat->second);
  card["passage"] = std::move(passage);
  card["map"] = HeatMap(pieces->second, asked->second, heat->second);
}

data ScoreCard(const ReportContent& content, const std::string& query, const v1::Score& score,
               double largest) {
  data card = SampleCard(content, content.candidate_dataset, score.sample_id(), true);
  AddHeat(content, query, SampleName(content.candidate_dataset, score.sample_id()), card);
  const double share = largest > 0 ? std::abs(score.score()) / largest : 0;
  const bool zero = !score.distinguishable() || score.constant();
  card["score"] = Signed(absl::StrFormat("%.3g", score.score()));
  card["error"] = absl::StrFormat("%.2g", score.standard_error());
  card["percent"] = absl::StrFormat("%.0f", 100 * std::clamp(share, 0.0, 1.0));
  card["zero"] = zero;
  card["helps"] = !zero && score.helps();
  card["hurts"] = !zero && !score.helps();
  card["effect"] = score.constant() ? "constant"
                   : zero           ? "≈ 0?"
                   : score.helps()  ? "helps"
                                    : "hurts";
  return card;
}

data End(const ReportContent& content, const std::string& query, const v1::QueryRanking& ranking,
         bool helpful) {
  const auto& scores = helpful ? ranking.helpful() : ranking.harmful();
  data list(data::type::list);
  for (const v1::Score& score : scores)
    list << ScoreCard(content, query, score, LargestScore(ranking));
  data end;
  end["side"] = helpful ? "helps" : "hurts";
  end["heading"] = helpful ? "Most helpful" : "Most harmful";
  end["has_scores"] = !scores.empty();
  end["stability"] =
      absl::StrFormat("%.0f %% of these stay when the draws are resampled",
                      100 * (helpful ? ranking.helpful_stability() : ranking.harmful_stability()));
  end["scores"] = std::move(list);
  return end;
}

data Queries(const ReportContent& content) {
  data queries(data::type::list);
  for (const v1::QueryRanking& ranking : content.answer.rankings()) {
    const std::string id =
        ranking.sample_id().empty() ? absl::StrCat("#", ranking.query()) : ranking.sample_id();
    data query = SampleCard(content, content.query_dataset, id, false);
    data ends(data::type::list);
    const std::string name = SampleName(content.query_dataset, id);
    ends << End(content, name, ranking, true) << End(content, name, ranking, false);
    query["ends"] = std::move(ends);
    queries << query;
  }
  return queries;
}

void AddChains(const ReportContent& content, data& page) {
  const v1::Diagnostics& d = content.diagnostics;
  Chart chart;
  chart.title = "Loss of every chain, draw by draw";
  chart.x_label = "draw";
  chart.mark = d.anchor_loss();
  chart.mark_label = "loss at the checkpoint";
  data chains(data::type::list);
  for (const v1::ChainDiagnostics& chain : d.chains()) {
    const bool diverged = chain.state() == v1::CHAIN_DIVERGED;
    const std::string label = absl::StrCat("chain ", chain.chain(),
                                           diverged ? " (diverged: " + chain.reason() + ")" : "");
    data shown;
    shown["label"] = label;
    shown["colour"] = absl::StrCat(chart.lines.size() % 6);
    chains << shown;
    chart.lines.push_back(
        {label, {chain.sampling_loss().begin(), chain.sampling_loss().end()}, diverged});
  }
  const std::string svg = DrawChart(chart);
  page["chart"] = svg;
  page["has_chart"] = !svg.empty();
  page["chains"] = std::move(chains);
  page["verdict"] = d.verdict().empty() ? "unknown" : Kebab(d.verdict());
  page["bad"] = d.verdict() != "MIXED";
  page["explanation"] = d.explanation();
  data measures(data::type::list);
  measures
      << Pair("R-hat of the sampling loss (1 is mixed)", absl::StrFormat("%.3f", d.r_hat()))
      << Pair("R-hat of training traces, median", absl::StrFormat("%.3f", d.trace_r_hat().median()))
      << Pair("effective draws, sampling loss", absl::StrFormat("%.0f", d.ess_bulk()))
      << Pair("effective draws, traces, median", absl::StrFormat("%.0f", d.trace_ess().median()))
      << Pair("autocorrelation time, in draws", absl::StrFormat("%.1f", d.autocorrelation_time()))
      << Pair("local learning coefficient",
              absl::StrFormat("%.1f ± %.1f", d.llc(), d.llc_standard_error()));
  page["measures"] = std::move(measures);
}

data ProvenanceTable(const ReportContent& content) {
  const v1::Posterior& posterior = content.posterior;
  const v1::SamplerSettings& s = posterior.settings();
  const v1::Provenance& p = content.answer.provenance();
  data table(data::type::list);
  const auto add = [&](const std::string& label, const std::string& value) {
    if (!value.empty()) table << Pair(label, value);
  };
  add("answer", ProvenanceText(p));
  add("posterior", posterior.name());
  add("checkpoint", posterior.checkpoint());
  add("training data",
      absl::StrCat(posterior.dataset(), ", ", Count(posterior.training_samples()), " samples"));
  add("sampler",
      absl::StrCat(Kebab(v1::SamplerAlgorithm_Name(s.algorithm())), ", step size ",
                   Number(s.step_size()), ", nβ ", Number(s.nbeta()), ", γ ", Number(s.gamma()),
                   ", batches of ", s.batch_size(), ", seed ", s.seed()));
  add("chains", absl::StrCat(ChainsText(posterior), ", ", posterior.steps_between_draws(),
                             " steps between draws, ", s.burn_in_steps(), " burn-in"));
  add("moving parameters", Count(posterior.moving_parameters()));
  add("on disk", Bytes(posterior.disk_bytes()));
  add("sampling took",
      posterior.has_sampling_time() ? DurationText(posterior.sampling_time()) : "");
  for (const auto& [label, value] : content.provenance) add(label, value);
  add("plan", posterior.execution_plan());
  add("numerics", p.numerics().empty() ? posterior.numerics() : p.numerics());
  return table;
}

std::string HowToRead(const ReportContent& content) {
  const v1::Provenance& provenance = content.answer.provenance();
  const v1::Observable& observable = provenance.observable();
  const bool loss =
      observable.kind() == v1::LOSS || observable.kind() == v1::OBSERVABLE_KIND_UNSPECIFIED;
  const std::string effect =
      loss ? "lowers the model's loss on the query"
           : absl::StrCat(observable.kind() == v1::SPAN_LOSS ? "lowers" : "raises", " the query's ",
                          ObservableText(observable));
  return absl::StrCat(
      "A training ", content.pieces.empty() ? "image" : "text",
      " helps a query if giving it more weight in training ", effect,
      "; it hurts if it does the opposite. The weights around the checkpoint were "
      "sampled once; a score says how the two losses move together over the draws.",
      !content.heat.empty()
          ? " In a training text, each token is tinted by its own score with the whole query; the "
            "maps below it show token against token."
          : "");
}

std::string ScoreName(const v1::Provenance& provenance) {
  switch (provenance.estimator()) {
    case v1::NORMALIZED_BIF:
      return "minus the correlation of the two traces (negative helps, for a loss)";
    case v1::COVARIANCE:
      return "the covariance of the two traces (positive helps, for a loss)";
    case v1::CORRELATION:
      return "the correlation of the two traces (positive helps, for a loss)";
    default:
      return "minus the covariance of the two traces (negative helps, for a loss)";
  }
}

}  // namespace

absl::StatusOr<std::string> RenderReport(const ReportContent& content) {
  const v1::Provenance& provenance = content.answer.provenance();
  const int queries = content.answer.rankings_size();
  data page;
  page["title"] =
      content.title.empty() ? "Which training samples made it behave like this?" : content.title;
  page["subtitle"] =
      absl::StrCat(queries, queries == 1 ? " query, " : " queries, ",
                   Count(content.posterior.training_samples()), " training samples, ",
                   provenance.chains(), " chains of ", provenance.draws_per_chain(), " draws");
  data summary(data::type::list);
  for (const auto& [label, value] : content.summary) summary << Pair(label, value);
  page["has_summary"] = !content.summary.empty();
  page["summary"] = std::move(summary);
  page["how_to_read"] = HowToRead(content);
  page["shown"] = content.pieces.empty() ? "images" : "texts";
  page["has_text"] = !content.pieces.empty();
  page["score_name"] = ScoreName(provenance);
  page["stability_note"] =
      "Beside each row stands the share of it that is expected to stay if the draws were taken "
      "again.";
  page["queries_heading"] = queries == 1 ? "The query" : "The queries";
  page["queries"] = Queries(content);
  AddChains(content, page);
  page["provenance"] = ProvenanceTable(content);

  kainjow::mustache::mustache page_template{std::string(kReportTemplate)};
  if (!page_template.is_valid()) {
    return absl::InternalError(absl::StrCat("report.html: ", page_template.error_message()));
  }
  return page_template.render(page);
}

}  // namespace bif::client
