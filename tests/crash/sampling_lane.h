// A client who brings data, samples a posterior on it, asks, extends, and cleans up; a round is all
// of that, with a dataset and a posterior of its own.
//
// One chain and fewer than 64 rows: then nothing is left to be tuned, which would take the daemon's
// time, and might come out otherwise in another run.
#pragma once

#include <string>

#include "tests/crash/lane.h"

namespace bif::testing {

class SamplingLane : public Lane {
 public:
  // Files are written below `folder`, which the daemon may read.
  SamplingLane(ServedDaemon& daemon, Ledger& ledger, uint64_t seed, int number, std::string folder,
               std::string checkpoint)
      : Lane(daemon, ledger, seed, number),
        folder_(std::move(folder)),
        checkpoint_(std::move(checkpoint)) {}

 private:
  // What a round works on.
  struct Work {
    std::string name;  // of the round, in request ids and as the dataset's id
    std::string dataset;
    std::string posterior;
    int rows = 0;
    int first_image = 0;
    uint32_t draws = 0;
    std::vector<std::string> operations;
  };

  void Round(int round) override;
  void BringData(Work& work);
  void Sample(Work& work, Choices& choices);
  void AppendAndTrace(Work& work);
  void Append(const Work& work, int samples);
  void AskAboutNewImage(const Work& work);
  void Extend(Work& work, Choices& choices);
  void AskAboutTraining(const Work& work);
  void CleanUp(const Work& work);
  void CancelOne(const Work& work, Choices& choices);
  bif::v1::CreatePosteriorRequest PosteriorOn(const Work& work, Choices& choices) const;

  const std::string folder_;
  const std::string checkpoint_;
};

}  // namespace bif::testing
