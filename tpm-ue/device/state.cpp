#include "device/state.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "device/errors.hpp"
#include "tokens/base64.hpp"
#include "tokens/impu.hpp"
#include "tokens/json.hpp"
#include "tpm/endorsement.hpp"

namespace avseal::device {

namespace {

namespace json = boost::json;

constexpr std::int64_t state_version = 2;
constexpr std::int64_t first_version = 1;  // without enrollment and generations
constexpr std::int64_t most_generations = 0x7FFFFFFF;
constexpr std::size_t digest_size = 32;
constexpr std::size_t name_size = 34;  // TPM2_ALG_SHA256 and the digest

Error last_error(const std::filesystem::path& path) {
  return errors::file_unusable(path.string(), std::strerror(errno));
}

Error malformed(std::string why) {
  return errors::state_malformed(files::state, why);
}

Result<Bytes> parse_name(tokens::ObjectReader& reader) {
  AVSEAL_TRY(const std::string_view text, reader.string("name"));
  auto name = tokens::hex_decode(text);
  if (!name || name->size() != name_size || (*name)[0] != 0x00 || (*name)[1] != 0x0B) {
    return malformed("a Name is 000b and 64 hex digits");
  }
  return name;
}

Result<Enrolled> parse_enrolled(tokens::ObjectReader& reader) {
  Enrolled enrolled;
  AVSEAL_TRY(auto ak, reader.object("ak"));
  AVSEAL_TRY(enrolled.ak_name, parse_name(ak));
  AVSEAL_TRY(const std::string_view unique, ak.string("unique"));
  AVSEAL_CHECK(ak.finish());
  auto bytes = tokens::hex_decode(unique);
  if (!bytes || bytes->size() != digest_size) return malformed("ak.unique is 64 hex digits");
  enrolled.ak_unique = std::move(*bytes);
  AVSEAL_TRY(enrolled.device, reader.string("device"));
  AVSEAL_TRY(enrolled.ek, reader.string("ek"));
  AVSEAL_TRY(enrolled.impu, reader.string("impu"));
  AVSEAL_TRY(enrolled.renew_after, reader.integer("renewAfter"));
  AVSEAL_TRY(enrolled.server, reader.string("server"));
  AVSEAL_CHECK(reader.finish());
  const auto device = tokens::hex_decode(enrolled.device);
  if (!device || device->size() != digest_size) return malformed("a device is 64 hex digits");
  if (!tpm::ek_type_of(enrolled.ek)) return malformed("the type of the endorsement key is not known here");
  const auto impu = tokens::Impu::parse(enrolled.impu);
  if (!impu || impu->canonical() != enrolled.impu) return malformed("not a canonical IMPU");
  return enrolled;
}

json::object render_enrolled(const Enrolled& enrolled) {
  return {{"ak", json::object{{"name", tokens::hex_encode(enrolled.ak_name)},
                              {"unique", tokens::hex_encode(enrolled.ak_unique)}}},
          {"device", enrolled.device},
          {"ek", enrolled.ek},
          {"impu", enrolled.impu},
          {"renewAfter", enrolled.renew_after},
          {"server", enrolled.server}};
}

std::string numbered(std::string_view stem, std::uint32_t generation, std::string_view suffix) {
  return generation == 0 ? fmt::format("{}{}", stem, suffix) : fmt::format("{}-{}{}", stem, generation, suffix);
}

bool only_ours(const struct stat& status) {
  return status.st_uid == ::geteuid() && (status.st_mode & 077U) == 0;
}

Result<void> write_all(const Fd& fd, ByteView content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_error(path);
    content = content.subspan(static_cast<std::size_t>(written));
  }
  if (::fsync(fd.get()) != 0) return last_error(path);
  return {};
}

}  // namespace

namespace files {

std::string key(std::uint32_t generation) {
  return numbered("ue-key", generation, ".tpm");
}
std::string auth(std::uint32_t generation) {
  return numbered("ue-key", generation, ".auth");
}
std::string chain(std::uint32_t generation) {
  return numbered("ue-cert", generation, ".pem");
}

}  // namespace files

std::string render_state(const DeviceState& state) {
  json::object root{
      {"srk", json::object{{"name", tokens::hex_encode(state.srk_name)}, {"persistent", state.srk_persistent}}},
      {"ueKey", json::object{{"generation", state.generation}, {"name", tokens::hex_encode(state.ue_key_name)}}},
      {"version", state_version}};
  if (state.enrolled) root["enrollment"] = render_enrolled(*state.enrolled);
  return tokens::canonical_json(root) + "\n";
}

Result<DeviceState> parse_state(std::string_view text) {
  AVSEAL_TRY(const json::value value, tokens::parse_json(text, {.size = 4096, .depth = 4}));
  AVSEAL_TRY(auto root, tokens::ObjectReader::open(value));
  AVSEAL_TRY(const std::int64_t version, root.integer("version"));
  if (version != state_version && version != first_version) {
    return malformed(fmt::format("version {} is not known here", version));
  }
  DeviceState state;
  AVSEAL_TRY(auto srk, root.object("srk"));
  AVSEAL_TRY(state.srk_name, parse_name(srk));
  AVSEAL_TRY(state.srk_persistent, srk.boolean("persistent"));
  AVSEAL_CHECK(srk.finish());
  AVSEAL_TRY(auto key, root.object("ueKey"));
  AVSEAL_TRY(state.ue_key_name, parse_name(key));
  if (version != first_version) {
    AVSEAL_TRY(const std::int64_t generation, key.integer("generation"));
    if (generation < 0 || generation > most_generations) return malformed("no such generation");
    state.generation = static_cast<std::uint32_t>(generation);
    AVSEAL_TRY(auto enrolled, root.optional_object("enrollment"));
    if (enrolled) {
      AVSEAL_TRY(state.enrolled, parse_enrolled(*enrolled));
    }
  }
  AVSEAL_CHECK(key.finish());
  AVSEAL_CHECK(root.finish());
  return state;
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Bytes> read_file(const std::filesystem::path& path, std::size_t max, bool ours) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status {};
  if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) return last_error(path);
  if (!S_ISREG(status.st_mode)) return errors::file_unusable(path.string(), "not a regular file");
  if (ours && !only_ours(status)) return errors::permissions(path.string());
  if (static_cast<std::size_t>(status.st_size) > max) {
    return errors::file_unusable(path.string(), fmt::format("larger than {} bytes", max));
  }
  Bytes content(static_cast<std::size_t>(status.st_size));
  std::size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t got = ::read(fd.get(), content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return last_error(path);
    if (got == 0) return errors::file_unusable(path.string(), "changed while it was read");
    filled += static_cast<std::size_t>(got);
  }
  return content;
}

Result<StateDirectory> StateDirectory::create(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return errors::directory_unusable(path.string(), std::strerror(errno));
  }
  return open(path);
}

Result<StateDirectory> StateDirectory::open(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return errors::not_initialised(path.string());
    return errors::directory_unusable(path.string(), std::strerror(errno));
  }
  if (!S_ISDIR(status.st_mode)) return errors::directory_unusable(path.string(), "not a directory");
  if (!only_ours(status)) return errors::permissions(path.string());
  return StateDirectory(path);
}

Result<Fd> StateDirectory::lock() const {
  Fd fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return last_error(path_);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return errors::busy(path_.string());
  return fd;
}

bool StateDirectory::has(std::string_view name) const {
  struct stat status {};
  return ::lstat((path_ / name).c_str(), &status) == 0;
}

Result<Bytes> StateDirectory::read(std::string_view name, std::size_t max) const {
  return read_file(path_ / name, max, true);
}

Result<void> StateDirectory::write(std::string_view name, ByteView content) const {
  const std::filesystem::path path = path_ / name;
  const std::filesystem::path fresh = path.string() + ".new";
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return last_error(fresh);
  {
    const Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd.get() < 0) return last_error(fresh);
    AVSEAL_CHECK(write_all(fd, content, fresh));
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return last_error(path);
  const Fd directory(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return last_error(path_);
  return {};
}

StateDirectory::Stamp StateDirectory::stamp(std::string_view name) const {
  struct stat status {};
  if (::lstat((path_ / name).c_str(), &status) != 0) return {};
  return {status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

void StateDirectory::remove(std::string_view name) const {
  static_cast<void>(::unlink((path_ / name).c_str()));
}

}  // namespace avseal::device
