#include "run/verifications.hpp"

#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

#include <boost/asio/post.hpp>

namespace surveyd::run {

Verifications::Verifications(boost::asio::any_io_executor executor, Surveyor& surveyor,
                             VerificationOrder order, Verifier::Decode decode,
                             std::shared_ptr<VerifiedResults> results)
    : executor_(std::move(executor)),
      surveyor_(surveyor),
      order_(std::move(order)),
      verifier_(std::make_shared<Verifier>(std::move(decode))),
      results_(std::move(results)) {}

void Verifications::verify(Done done) {
  waiting_.push_back(std::move(done));
  if (std::exchange(running_, true)) return;
  try {
    if (!worker_) worker_.emplace("verify");
  } catch (const std::system_error& none) {
    return finish(os_error(none.code().value(), "pthread_create"));
  }
  worker_->post(
      [this, executor = executor_, verifier = verifier_, results = results_, order = order_] {
        std::optional<Error> failure;
        try {
          Surroundings before = results->surroundings();
          auto verified = verifier->verify(order);
          if (verified)
            results->add(std::move(*verified), std::move(before));
          else
            failure = verified.error();
        } catch (const std::exception&) {
          failure = os_error(ENOMEM, "verify");
        }
        boost::asio::post(executor, [this, failure] { finish(failure); });
      });
}

void Verifications::finish(const std::optional<Error>& failure) {
  if (failure) return answer(&*failure);
  surveyor_.survey([this](const auto&) { answer(nullptr); });
}

void Verifications::answer(const Error* failure) {
  running_ = false;
  for (const Done& done : std::exchange(waiting_, {})) done(failure);
}

void Verifications::cancel() {
  verifier_->cancel();
}

bool Verifications::stop(std::chrono::milliseconds patience) {
  cancel();
  return !worker_ || worker_->stop(patience);
}

}  // namespace surveyd::run
