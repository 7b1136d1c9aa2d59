#include "metrics/exposition.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "parse/words.hpp"

namespace surveyd::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;
using Families = std::vector<MetricFamily>;

// Every controller that a kernel up to now can name in cgroup.controllers.
constexpr std::array controller_names = {"cpu",    "cpuset", "dmem", "hugetlb", "io",
                                         "memory", "misc",   "pids", "rdma"};
constexpr std::array mode_values = {Mode::full, Mode::nested_adaptive, Mode::degraded};
constexpr std::array<double, 9> request_bounds = {0.00001, 0.000025, 0.00005, 0.0001, 0.00025,
                                                  0.001,   0.01,     0.1,     1};
constexpr std::array<double, 10> survey_bounds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                                  0.005,  0.01,    0.1,    1,     10};

double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

MetricFamily gauges(const char* name, const char* help) {
  return {name, help, MetricType::Gauge, {}};
}

MetricFamily counters(const char* name, const char* help) {
  return {name, help, MetricType::Counter, {}};
}

MetricFamily histograms(const char* name, const char* help) {
  return {name, help, MetricType::Histogram, {}};
}

void gauge(MetricFamily& family, double value, Labels labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  family.metric.push_back(std::move(metric));
}

void counter(MetricFamily& family, double value, Labels labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;
  family.metric.push_back(std::move(metric));
}

template <class Histogram, class Bounds>
void histogram(MetricFamily& family, const Histogram& histogram, const Bounds& bounds,
               Labels labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    below += histogram.counts[i];
    const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({below, bound});
  }
  metric.histogram.sample_count = below;
  metric.histogram.sample_sum = histogram.sum;
  family.metric.push_back(std::move(metric));
}

template <class Histogram, class Bounds>
void observe(Histogram& histogram, const Bounds& bounds, double value) {
  std::size_t i = 0;
  while (i < bounds.size() && value > bounds[i]) ++i;
  ++histogram.counts[i];
  histogram.sum += value;
}

std::string text_of(const Families& families) {
  return prometheus::TextSerializer{}.prometheus::Serializer::Serialize(families);
}

// The lines of its metrics, without those about the family.
std::string lines_of(const MetricFamily& family) {
  std::string text = text_of({family});
  std::size_t begin = 0;
  while (text.compare(begin, 2, "# ") == 0) begin = text.find('\n', begin) + 1;
  return text.substr(begin);
}

template <class Counts, class LabelsOf>
MetricFamily counts_of(MetricFamily family, const Counts& counts, const LabelsOf& labels) {
  for (const auto& [key, value] : counts) counter(family, static_cast<double>(value), labels(key));
  return family;
}

// How many bytes of well-formed UTF-8 begin at `text`; 0 when none do (RFC 3629).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return 1;
  const std::size_t length = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
  if (byte(0) < 0xC2 || byte(0) > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  // Overlong forms, surrogates, and what lies above U+10FFFF.
  const bool misplaced = (byte(0) == 0xE0 && byte(1) < 0xA0) ||
                         (byte(0) == 0xED && byte(1) > 0x9F) ||
                         (byte(0) == 0xF0 && byte(1) < 0x90) || (byte(0) == 0xF4 && byte(1) > 0x8F);
  return misplaced ? 0 : length;
}

// Prometheus refuses a whole scrape for one label that is not UTF-8; a cgroup can have any name.
std::string label_text(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    result += length > 0 ? text.substr(0, length) : "\xEF\xBF\xBD";
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

MetricFamily single(MetricFamily family, double value) {
  gauge(family, value);
  return family;
}

MetricFamily modes(const char* name, const char* help, Mode current) {
  MetricFamily family = gauges(name, help);
  for (const Mode mode : mode_values) gauge(family, mode == current, {{"mode", to_string(mode)}});
  return family;
}

void add_capabilities(Families& families, const Survey& survey) {
  MetricFamily known =
      gauges("surveyd_capability", "Whether the capability is there; absent while unknown.");
  MetricFamily unknown = gauges("surveyd_capability_unknown",
                                "Whether it could not be found out if the capability is there.");
  MetricFamily verified =
      gauges("surveyd_capability_verified",
             "Whether the answer comes from trying it, and not from a claim alone.");
  MetricFamily durations =
      gauges("surveyd_probe_duration_seconds", "How long the probe took in the last survey.");
  for (const Finding& finding : survey.findings.all()) {
    const bool is_unknown = finding.status == Status::unknown;
    if (!is_unknown) gauge(known, finding.status == Status::yes, {{"capability", finding.id}});
    gauge(unknown, is_unknown, {{"capability", finding.id}});
    gauge(verified, finding.basis == Basis::verified, {{"capability", finding.id}});
    gauge(durations, seconds(finding.duration), {{"probe", finding.id}});
  }
  families.push_back(std::move(known));
  families.push_back(std::move(unknown));
  families.push_back(std::move(verified));
  families.push_back(std::move(durations));
}

void add_environment(Families& families, const Survey& survey, const Build& build) {
  MetricFamily environment =
      gauges("surveyd_environment_info", "The surroundings of the surveyed process.");
  gauge(environment, 1,
        {{"cgroup_parent", label_text(survey.capabilities.cgroup_parent.value_or(""))},
         {"cgroup_version", survey.findings.value("cgroup_version")},
         {"kernel", label_text(build.kernel)}});
  families.push_back(std::move(environment));

  MetricFamily info = gauges("surveyd_build_info", "The build of surveyd that runs.");
  gauge(info, 1,
        {{"version", build.version}, {"revision", build.revision}, {"compiler", build.compiler}});
  families.push_back(std::move(info));

  MetricFamily delegated =
      gauges("surveyd_cgroup_controller_delegated",
             "Whether the container parent delegates the controller; absent while unknown.");
  // The container parent is surveyd's own, whoever is surveyed.
  const Findings& own = survey.own.all().empty() ? survey.findings : survey.own;
  const auto enabled = parse::words(own.value("cgroup_delegation"));
  if (own.status("cgroup_delegation") != Status::unknown)
    for (const char* name : controller_names)
      gauge(delegated, std::find(enabled.begin(), enabled.end(), name) != enabled.end(),
            {{"controller", name}});
  families.push_back(std::move(delegated));
}

void add_process(Families& families, const ProcessUsage& usage) {
  const auto add = [&families](const char* name, const char* help, double value) {
    families.push_back(single(gauges(name, help), value));
  };
  add("process_resident_memory_bytes", "Resident memory, as of the last survey.",
      static_cast<double>(usage.resident_bytes));
  add("process_virtual_memory_bytes", "Virtual memory, as of the last survey.",
      static_cast<double>(usage.virtual_bytes));
  add("process_open_fds", "Open file descriptors, as of the last survey.",
      static_cast<double>(usage.open_descriptors));
  add("process_max_fds", "Most file descriptors that may be open.",
      static_cast<double>(usage.most_descriptors));
  add("process_start_time_seconds", "Start of the process since the epoch.", usage.started_at);
}

}  // namespace

std::string of_survey(const Survey& survey, const ProcessUsage& usage, const Build& build) {
  Families families;
  add_capabilities(families, survey);
  families.push_back(modes("surveyd_mode",
                           "The mode that the reference defines, 1 for the current one.",
                           survey.capabilities.effective_mode));
  families.push_back(modes("surveyd_assessed_mode",
                           "The mode by what really works, 1 for the current one.",
                           survey.assessment.mode));
  add_environment(families, survey, build);
  const auto surveyed_at = survey.run.surveyed_at.time_since_epoch();
  families.push_back(
      single(gauges("surveyd_survey_generation", "Counts the surveys of this process."),
             static_cast<double>(survey.run.generation)));
  families.push_back(single(
      gauges("surveyd_survey_timestamp_seconds", "When the last survey began, since the epoch."),
      seconds(surveyed_at)));
  families.push_back(
      single(gauges("surveyd_survey_interval_seconds", "Seconds between two surveys of the timer."),
             static_cast<double>(survey.run.interval.count())));
  add_process(families, usage);
  return text_of(families);
}

// A counter that first appears with 1 hides its first increase from every rate().
Counters::Counters() {
  for (const char* name : controller_names) cgroup_drift_[name] = 0;
  for (const char* operation : {"ensure", "remove", "force_remove", "reap", "repair"})
    for (const char* result : {"ok", "refused", "failed"})
      cgroup_operations_[{operation, result}] = 0;
  for (const Mode from : mode_values)
    for (const Mode to : mode_values)
      if (from != to) mode_changes_[{to_string(from), to_string(to)}] = 0;
}

void Counters::request(std::string_view method, std::string_view route, unsigned code,
                       std::chrono::nanoseconds duration) {
  const RequestKey key{method, route, code};
  // Most are like the one before.
  if (last_request_ == requests_.end() || last_request_->first != key)
    last_request_ = requests_.try_emplace(key).first;
  Requests& requests = last_request_->second;
  observe(requests.durations, request_bounds, seconds(duration));
  requests.changed = true;
}

void Counters::cgroup_operation(const char* operation, const char* result) {
  ++cgroup_operations_[{operation, result}];
  rest_text_.clear();
}

void Counters::cgroup_drift(const std::string& controller) {
  ++cgroup_drift_[controller];
  rest_text_.clear();
}

void Counters::containers(std::size_t populated, std::size_t empty, std::size_t orphaned) {
  containers_ = {{"populated", populated}, {"empty", empty}, {"orphaned", orphaned}};
  rest_text_.clear();
}

void Counters::surveyed(const Survey* before, const Survey& after) {
  rest_text_.clear();
  observe(survey_durations_, survey_bounds, seconds(after.run.duration));
  for (const Finding& finding : after.findings.all()) {
    probe_failures_[finding.id] += finding.failed;
    const Finding* was = before != nullptr ? before->findings.find(finding.id) : nullptr;
    capability_changes_[finding.id] += was != nullptr && !is_same_answer(*was, finding);
  }
  if (before == nullptr) return;
  const Mode from = before->capabilities.effective_mode;
  const Mode to = after.capabilities.effective_mode;
  if (from != to) ++mode_changes_[{to_string(from), to_string(to)}];
}

void Counters::connections(std::string_view listener, int change) {
  connections_[listener] += change;
  connection_text_.clear();
}

void Counters::rejected(std::string_view reason, unsigned count) {
  rejected_[reason] += count;
  rejection_text_.clear();
}

std::string Counters::text(double cpu_seconds, std::size_t removals_pending) {
  MetricFamily counts = counters("surveyd_http_requests_total", "Requests answered.");
  MetricFamily durations = histograms("surveyd_http_request_duration_seconds",
                                      "From the complete request to its answer.");
  for (auto& [key, requests] : requests_) {
    if (!requests.changed) continue;
    requests.changed = false;
    const auto& [method, route, code] = key;
    const Labels labels = {{"method", std::string{method}},
                           {"route", std::string{route}},
                           {"code", std::to_string(code)}};
    histogram(durations, requests.durations, request_bounds, labels);
    counter(counts, static_cast<double>(durations.metric.back().histogram.sample_count), labels);
    requests.duration_lines = lines_of(durations);
    requests.count_line = lines_of(counts);
    durations.metric.clear();
    counts.metric.clear();
  }
  if (connection_text_.empty()) connection_text_ = text_of_connections();
  if (rejection_text_.empty()) rejection_text_ = text_of_rejections();
  if (rest_text_.empty()) rest_text_ = text_of_rest();

  std::string text = text_of({counts});
  for (const auto& [key, requests] : requests_) text += requests.count_line;
  text += text_of({durations});
  for (const auto& [key, requests] : requests_) text += requests.duration_lines;
  text.append(connection_text_).append(rejection_text_).append(rest_text_);

  MetricFamily pending = single(gauges("surveyd_cgroup_removals_pending",
                                       "Removals by force whose processes have not ended yet."),
                                static_cast<double>(removals_pending));
  MetricFamily cpu = counters("process_cpu_seconds_total", "User and system time of all threads.");
  counter(cpu, cpu_seconds);
  return text += text_of({std::move(pending), std::move(cpu)});
}

std::string Counters::text_of_connections() const {
  MetricFamily connections = gauges("surveyd_http_connections", "Open connections.");
  for (const auto& [listener, count] : connections_)
    gauge(connections, static_cast<double>(count), {{"listener", std::string{listener}}});
  return text_of({std::move(connections)});
}

std::string Counters::text_of_rejections() const {
  return text_of({counts_of(counters("surveyd_http_rejected_total",
                                     "Requests and connections that a limit, a deadline or a rule "
                                     "ended."),
                            rejected_, [](const auto& reason) {
                              return Labels{{"reason", std::string{reason}}};
                            })});
}

std::string Counters::text_of_rest() const {
  Families families;
  MetricFamily surveys = histograms("surveyd_survey_duration_seconds", "How long surveys took.");
  histogram(surveys, survey_durations_, survey_bounds);
  families.push_back(std::move(surveys));

  families.push_back(
      counts_of(counters("surveyd_probe_failures_total", "Probes that timed out or failed."),
                probe_failures_, [](const auto& probe) {
                  return Labels{{"probe", probe}};
                }));
  families.push_back(
      counts_of(counters("surveyd_capability_changes_total", "Answers that changed."),
                capability_changes_, [](const auto& capability) {
                  return Labels{{"capability", capability}};
                }));
  families.push_back(counts_of(counters("surveyd_mode_changes_total", "Changes of the mode."),
                               mode_changes_, [](const auto& key) {
                                 return Labels{{"from", key.first}, {"to", key.second}};
                               }));
  families.push_back(
      counts_of(counters("surveyd_cgroup_operations_total", "Operations on the cgroup tree."),
                cgroup_operations_, [](const auto& key) {
                  return Labels{{"operation", key.first}, {"result", key.second}};
                }));
  families.push_back(
      counts_of(counters("surveyd_cgroup_drift_total",
                         "Losses of a controller that the container parent had delegated."),
                cgroup_drift_, [](const auto& controller) {
                  return Labels{{"controller", controller}};
                }));
  MetricFamily containers =
      gauges("surveyd_cgroup_containers",
             "Container cgroups at the last look; orphaned ones have been empty for a minute.");
  for (const auto& [state, count] : containers_)
    gauge(containers, static_cast<double>(count), {{"state", state}});
  families.push_back(std::move(containers));
  return text_of(families);
}

}  // namespace surveyd::metrics
