#include "client/load/requests.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bif/v1/datasets.pb.h"
#include "bif/v1/posteriors.pb.h"
#include "client/load/change_sample.h"
#include "client/paging.h"
#include "client/status_macros.h"

namespace bif::client::load {

absl::StatusOr<Requests> Requests::Make(Client& client, const RequestOptions& options) {
  Requests requests(options);
  const bool new_queries = Contains(options.mix, Method::kNewQuery);
  if (!new_queries && !Contains(options.mix, Method::kStoredTopK)) return requests;
  if (options.posterior.empty())
    return absl::InvalidArgumentError("attribution needs a posterior: --posterior");
  if (requests.options_.dataset.empty()) {
    CLIENT_ASSIGN_OR_RETURN(const v1::Posterior posterior, client.GetPosterior(options.posterior));
    requests.options_.dataset = posterior.dataset();
  }

  v1::ListSamplesRequest list;
  list.set_dataset(requests.options_.dataset);
  list.set_include_tensors(new_queries);
  const auto page = [&](const v1::ListSamplesRequest& request) {
    return client.ListSamples(request);
  };
  const auto count = [](const v1::ListSamplesResponse& response) {
    return static_cast<int64_t>(response.samples_size());
  };
  CLIENT_ASSIGN_OR_RETURN(v1::ListSamplesResponse all,
                          (CollectPages<v1::ListSamplesResponse, v1::ListSamplesRequest>(
                              list, page, count, options.samples)));
  const auto wanted = std::min<int64_t>(options.samples, all.samples_size());
  for (int i = 0; i < wanted; ++i) requests.samples_.push_back(std::move(*all.mutable_samples(i)));
  if (requests.samples_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(requests.options_.dataset, " has no samples to ask about"));
  }
  v1::Sample trial = requests.samples_.front();
  Random random(0);
  if (new_queries && !ChangeSample(random, trial)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the samples of ", requests.options_.dataset,
                     " have no tensor that may be changed; leave new-query out of --mix"));
  }
  return requests;
}

Requests::Request Requests::Next() {
  Request request{.method = Pick(options_.mix, random_), .attribute = {}};
  if (request.method == Method::kHealth) return request;
  v1::AttributeRequest& attribute = request.attribute;
  attribute.set_posterior(options_.posterior);
  attribute.set_top_k(options_.top_k);
  v1::SampleSet& queries = *attribute.mutable_queries();
  if (request.method == Method::kStoredTopK) {
    queries.set_dataset(options_.dataset);
    queries.add_sample_ids(samples_[next_stored_++ % samples_.size()].id());
  } else {
    *queries.add_inline_() = samples_[random_.Below(samples_.size())];
    ChangeSample(random_, *queries.mutable_inline_(0));
  }
  return request;
}

}  // namespace bif::client::load
