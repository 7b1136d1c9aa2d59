#include "http/problem.hpp"

#include <boost/beast/http/status.hpp>

#include "json/documents.hpp"

namespace surveyd::http {
namespace {

struct Meaning {
  unsigned status;
  const char* name;
};

Meaning meaning_of(const std::error_code& code) {
  if (code == Fault::invalid_container_id) return {400, "invalid-container-id"};
  if (code == Fault::no_usable_cgroup2) return {501, "no-usable-cgroup2"};
  if (code == Fault::occupied || code == std::errc::device_or_resource_busy)
    return {409, "occupied"};
  if (code == Fault::timed_out) return {504, "timed-out"};
  if (code == Fault::no_such_process) return {404, "no-such-process"};
  return {503, "refused-by-kernel"};
}

Response render(json::Problem problem, const std::string& name) {
  const auto reason =
      boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(problem.status));
  problem.type = "urn:surveyd:problem:" + name;
  problem.title.assign(reason.data(), reason.size());
  Response response;
  response.status = problem.status;
  response.content_type = "application/problem+json";
  response.body = json::problem(problem);
  return response;
}

}  // namespace

Response problem(unsigned status, const std::string& name, std::string detail) {
  json::Problem problem;
  problem.status = status;
  problem.detail = std::move(detail);
  return render(std::move(problem), name);
}

Response problem(const Error& error) {
  const Meaning meaning = meaning_of(error.code);
  json::Problem problem;
  problem.status = meaning.status;
  problem.detail = error.code.message();
  if (!error.detail.empty()) problem.detail += ": " + error.detail;
  problem.op = error.op;
  problem.path = error.path;
  problem.error_number = errno_name(error.refusal ? error.refusal : error.code);
  problem.processes = error.processes;
  problem.children = error.children;
  problem.migrated = error.migrated;
  return render(std::move(problem), meaning.name);
}

}  // namespace surveyd::http
