#include "ledger_http/tile_body.hpp"

#include <algorithm>

#include "http/on_pool.hpp"
#include "ledger_http/errors.hpp"

namespace avseal::ledger_http {

namespace {

constexpr std::size_t piece = 64 * 1024;

}  // namespace

Result<std::shared_ptr<OpenFile>> OpenFile::open(const std::filesystem::path& path) {
  std::error_code failed;
  auto file = std::make_shared<OpenFile>();
  if (!std::filesystem::is_regular_file(path, failed)) return errors::tile_unknown();
  file->in.open(path, std::ios::binary | std::ios::ate);
  if (!file->in) return errors::tile_unknown();
  file->size = static_cast<std::uint64_t>(file->in.tellg());
  file->in.seekg(0);
  return file;
}

Result<Bytes> OpenFile::read(std::size_t most) {
  Bytes bytes(most);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(most));
  if (static_cast<std::size_t>(in.gcount()) == most) return bytes;
  return errors::make(Category::unavailable, "log-unreadable", "a file of the log ended early");
}

boost::asio::awaitable<Result<Bytes>> TileBody::next() {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, piece));
  if (size == 0) co_return Bytes{};
  left_ -= size;
  auto work = [file = file_, size] { return file->read(size); };
  co_return co_await http::on_pool(disk_, std::move(work));
}

}  // namespace avseal::ledger_http
