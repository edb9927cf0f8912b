#pragma once

#include <filesystem>
#include <fstream>
#include <memory>

#include <boost/asio/thread_pool.hpp>

#include "http/message.hpp"

namespace avseal::ledger_http {

// A file that does not change any more, opened; blocks. Error "ledger-tile-unknown": there is none.
struct OpenFile {
  std::ifstream in;
  std::uint64_t size = 0;

  static Result<std::shared_ptr<OpenFile>> open(const std::filesystem::path& path);
  Result<Bytes> read(std::size_t most);  // "log-unreadable"
};

// Reads it piece by piece on `disk`, as fast as the caller takes it.
class TileBody final : public http::BodySource {
 public:
  TileBody(boost::asio::thread_pool& disk, std::shared_ptr<OpenFile> file)
      : disk_(disk), file_(std::move(file)), left_(file_->size) {}
  boost::asio::awaitable<Result<Bytes>> next() override;

 private:
  boost::asio::thread_pool& disk_;
  std::shared_ptr<OpenFile> file_;
  std::uint64_t left_;
};

}  // namespace avseal::ledger_http
