#include "witness/witness.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>

#include "tlog/period.hpp"
#include "tlog/source.hpp"
#include "tokens/base64.hpp"
#include "witness/errors.hpp"

namespace avseal::witness {

namespace {

constexpr std::string_view unfinished = "new-checkpoint";

std::string hash_of(std::string_view origin) {
  return tokens::hex_encode(tokens::sha256(as_bytes(origin)));
}

bool is_hash(std::string_view name) {
  return name.size() == 2 * tokens::Sha256{}.size() &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A file that is wholly there under its name, or not changed at all (the caller syncs the directory).
bool write_file(int directory, const std::string& name, std::string_view text) {
  const std::string temporary(unfinished);
  const int fd = ::openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return false;
  bool good = true;
  while (good && !text.empty()) {
    const auto done = ::write(fd, text.data(), text.size());
    good = done > 0;
    if (good) text.remove_prefix(static_cast<std::size_t>(done));
  }
  good = good && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  errno = error;
  return good && ::renameat(directory, temporary.c_str(), directory, name.c_str()) == 0;
}

Error as_refusal(const Error& error, Category category) {
  Error refused = error;
  refused.category = category;
  return refused;
}

}  // namespace

Result<std::unique_ptr<Witness>> Witness::open(Config config, SigningKey key, Clock clock) {
  std::unique_ptr<Witness> witness(new Witness(std::move(config), std::move(key), std::move(clock)));
  AVSEAL_CHECK(witness->lock());
  AVSEAL_CHECK(witness->read_all());
  return witness;
}

Witness::~Witness() {
  if (directory_ >= 0) ::close(directory_);
}

Result<void> Witness::lock() {
  const auto path = config_.directory.string();
  directory_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_ < 0) return errors::state(fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  if (::flock(directory_, LOCK_EX | LOCK_NB) == 0) return {};
  return errors::refused(
      Category::unavailable, "witness-locked",
      fmt::format("{} is in use by another witness; stop it first: two would contradict each other", path));
}

// Also of logs that are not configured any more.
Result<void> Witness::read_all() {
  std::error_code failed;
  std::filesystem::directory_iterator entries(config_.directory, failed);
  for (; !failed && entries != std::filesystem::directory_iterator(); entries.increment(failed)) {
    const auto name = entries->path().filename().string();
    if (is_hash(name)) AVSEAL_CHECK(read(name));
  }
  if (failed) return errors::state(fmt::format("cannot list {}: {}", config_.directory.string(), failed.message()));
  return {};
}

Result<void> Witness::read(const std::string& file) {
  const auto files = tlog::open_directory(config_.directory);
  const auto bytes = files->read(file);
  if (!bytes) return errors::state(bytes.error().detail);
  const auto damaged = [&](std::string_view why) {
    return errors::state(fmt::format("{}: {}; a witness must not forget what it cosigned: restore the file",
                                     files->describe(file), why));
  };
  const auto note = tlog::Note::parse(as_text(*bytes));
  if (!note) return damaged(note.error().detail);
  const std::vector own{key_.key()};
  if (const auto mine = tlog::signers(*note, own); !mine) return damaged(mine.error().detail);
  auto head = tlog::Checkpoint::parse(note->text);
  if (!head || hash_of(head->origin) != file) return damaged("it is not of the log that its name is the hash of");
  const auto origin = head->origin;
  cosigned_.insert_or_assign(origin, Cosigned{std::move(*head), note->to_string()});
  return {};
}

std::vector<tlog::VerifierKey> Witness::keys_of(const std::string& origin) const {
  std::vector<tlog::VerifierKey> keys;
  for (const auto& log : config_.logs) {
    if (auto key = tlog::key_for(log, origin)) keys.push_back(std::move(*key));
  }
  return keys;
}

Result<Witness::Answer> Witness::add(const tlog::AddCheckpoint& request) {
  AVSEAL_TRY(const auto head, tlog::Checkpoint::parse(request.note.text));
  const auto keys = keys_of(head.origin);
  if (keys.empty()) {
    return errors::refused(Category::not_found, "witness-log-unknown",
                           fmt::format("no log {} is configured here", head.origin));
  }
  if (const auto known = tlog::signers(request.note, keys); !known) {
    return as_refusal(known.error(), Category::forbidden);
  }
  if (request.old_size > head.size) {
    return errors::refused(Category::bad_request, "witness-old-size",
                           fmt::format("expected an old size of at most {}, found {}", head.size, request.old_size));
  }

  const std::lock_guard lock(mutex_);
  if (broken_)
    return errors::state("an earlier checkpoint could not be kept: restart the witness once its disk is well");
  const auto newest = cosigned_.find(head.origin);
  const std::uint64_t size = newest == cosigned_.end() ? 0 : newest->second.head.size;
  if (request.old_size != size) return Answer{{}, Stale{size}};
  const tlog::Hash root = newest == cosigned_.end() ? tlog::root_of_leaves({}) : newest->second.head.root;
  // An old size of 0 that has another root was never cosigned: the empty tree has one root.
  const auto consistent = head.size == 0 && head.root != root
                              ? Result<void>(errors::refused(Category::unprocessable, "", "an empty tree has one root"))
                              : tlog::verify_consistency(size, root, head.size, head.root, request.proof);
  if (!consistent) {
    return errors::refused(Category::unprocessable, "witness-inconsistent",
                           fmt::format("the checkpoint of size {} does not go on from that of size {}: {}", head.size,
                                       size, consistent.error().detail));
  }
  AVSEAL_TRY(auto cosignature, key_.cosign(request.note.text, to_unix(clock_())));
  tlog::Note note = request.note;
  std::erase_if(note.signatures, [&](const tlog::NoteSignature& signature) {
    return std::none_of(keys.begin(), keys.end(), [&](const auto& key) { return key.made(signature); });
  });
  note.signatures.push_back(cosignature);
  AVSEAL_CHECK(remember(head.origin, Cosigned{head, note.to_string()}));
  return Answer{cosignature.line(), std::nullopt};
}

Result<void> Witness::remember(const std::string& origin, Cosigned cosigned) {
  const auto file = hash_of(origin);
  if (!write_file(directory_, file, cosigned.note) || ::fsync(directory_) != 0) {
    broken_ = true;
    return errors::state(fmt::format("cannot keep {}: {}", (config_.directory / file).string(), std::strerror(errno)));
  }
  cosigned_.insert_or_assign(origin, std::move(cosigned));
  return {};
}

Result<std::string> Witness::newest(std::string_view origin_hash) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [origin, cosigned] : cosigned_) {
    if (hash_of(origin) == origin_hash) return cosigned.note;
  }
  return errors::refused(Category::not_found, "witness-log-unknown", "no checkpoint of such a log was cosigned here");
}

}  // namespace avseal::witness
