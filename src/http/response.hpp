#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "http/request.hpp"

namespace surveyd::http {

/// A body with its head, made ready once and sent many times.
struct Document {
  std::string head;  ///< every header line but Date and Connection
  std::string body;
  std::string etag;
  std::string validators;  ///< the header lines of a 304
};

/// `headers` are whole lines, each with its CRLF.
[[nodiscard]] std::shared_ptr<const Document> make_document(std::string_view content_type,
                                                            std::string body,
                                                            std::string_view headers = {});

struct Response {
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string headers;  ///< further whole lines
  std::string body;
  std::shared_ptr<const Document> document;  ///< in place of all of the above but the status
  bool close = false;                        ///< the connection ends with this answer
  std::string_view
      rejection{};  ///< why nothing was done, of the reasons in rejection.hpp; or empty
};

/// The document, or 304 when the client has it already (If-None-Match).
[[nodiscard]] Response respond_with(const std::shared_ptr<const Document>& document,
                                    const Request& request);

/// Appends the answer to `out` as it goes over the wire.
void append(std::string& out, const Response& response, const Request& request, bool keep_alive);

}  // namespace surveyd::http
