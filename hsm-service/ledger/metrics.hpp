#pragma once

#include <string>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace avseal::ledger {

struct Metrics {
  explicit Metrics(prometheus::Registry& registry)
      : entries(prometheus::BuildGauge()
                    .Name("avseal_ledger_entries")
                    .Help("Leaves that are on disk.")
                    .Register(registry)
                    .Add({})),
        published(prometheus::BuildGauge()
                      .Name("avseal_ledger_published")
                      .Help("Leaves that the published checkpoint covers.")
                      .Register(registry)
                      .Add({})),
        published_at(prometheus::BuildGauge()
                         .Name("avseal_ledger_published_timestamp_seconds")
                         .Help("When this process last published a checkpoint, Unix time; 0 before.")
                         .Register(registry)
                         .Add({})),
        pending(prometheus::BuildGauge()
                    .Name("avseal_ledger_pending")
                    .Help("Places that are reserved or wait for the group commit.")
                    .Register(registry)
                    .Add({})),
        aggregated(prometheus::BuildCounter()
                       .Name("avseal_ledger_aggregated_refusals_total")
                       .Help("Refusals that were only counted, in one leaf per reason and minute.")
                       .Register(registry)
                       .Add({})),
        sync_seconds(prometheus::BuildHistogram()
                         .Name("avseal_ledger_sync_seconds")
                         .Help("Time to write and sync one batch.")
                         .Register(registry)
                         .Add({}, prometheus::Histogram::BucketBoundaries{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                                                          0.01, 0.025, 0.05, 0.1, 0.25, 1})),
        refusals(prometheus::BuildCounter()
                     .Name("avseal_ledger_refusals_total")
                     .Help("Refusals told to the ledger, by reason.")
                     .Register(registry)),
        checkpoint_failures(prometheus::BuildCounter()
                                .Name("avseal_ledger_checkpoint_failures_total")
                                .Help("Checkpoints that could not be signed or published, by reason.")
                                .Register(registry)),
        not_opened(prometheus::BuildCounter()
                       .Name("avseal_ledger_events_refused_total")
                       .Help("Events that the ledger refused to take, by reason.")
                       .Register(registry)) {}

  prometheus::Gauge& entries;
  prometheus::Gauge& published;
  prometheus::Gauge& published_at;
  prometheus::Gauge& pending;
  prometheus::Counter& aggregated;
  prometheus::Histogram& sync_seconds;
  prometheus::Family<prometheus::Counter>& refusals;
  prometheus::Family<prometheus::Counter>& checkpoint_failures;
  prometheus::Family<prometheus::Counter>& not_opened;
};

inline void count(prometheus::Family<prometheus::Counter>& family, std::string_view reason) {
  family.Add({{"reason", std::string(reason)}}).Increment();
}

}  // namespace avseal::ledger
