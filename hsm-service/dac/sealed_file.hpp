// Avatar content at rest. A sealed file is a header and then segments of AES-256-GCM ciphertext and tag:
//
//   header    "avseal-v1" || 7-byte random nonce prefix
//   segment   64 KiB of plaintext, the last one 1 to 64 KiB (or 0 if the content is empty)
//   nonce     prefix || index (4 bytes, big-endian) || 1 for the last segment, else 0        (the STREAM construction)
//   AD        header || Avatar-id
//
// Every content has a data key of its own. The HSM wraps it under associated data that names Avatar-id, version, size
// and digest (data_key.hpp), so segments need not repeat what is not known while they are written: the size follows
// from an upload's end, the version from its publication. The key therefore opens with one version of one avatar only;
// index, last flag and the exact file size catch what was swapped, repeated, cut or appended.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "tokens/digest.hpp"
#include "tokens/result.hpp"
#include "tokens/secret.hpp"

struct evp_cipher_ctx_st;

namespace avseal::dac {

inline constexpr std::size_t segment_size = 64 * 1024;
inline constexpr std::string_view sealed_suffix = ".sealed";
inline constexpr std::string_view partial_suffix = ".part";  // not yet complete: deleted at start

// An owned file descriptor; -1 is none.
class File {
 public:
  explicit File(int descriptor = -1) noexcept : descriptor_(descriptor) {}
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();
  [[nodiscard]] int get() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

// AES-256-GCM under one data key and header.
class SegmentCipher {
 public:
  using Header = std::array<std::uint8_t, 16>;
  static Result<SegmentCipher> create(const Secret& data_key, const Header& header, std::string_view avatar_id,
                                      bool seal);

  Result<Bytes> seal(ByteView plain, std::uint32_t index, bool last);   // ciphertext || tag
  Result<Bytes> open(ByteView sealed, std::uint32_t index, bool last);  // "content-altered"

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const noexcept;
  };
  std::unique_ptr<evp_cipher_ctx_st, Free> context_;
  std::array<std::uint8_t, 7> prefix_{};
  Bytes associated_data_;
};

// Writes one sealed file under a random name. Unfinished files are deleted by the destructor. Errors: "content-storage"
// (unavailable) names the file and what the system said.
class SealedWriter {
 public:
  static Result<std::unique_ptr<SealedWriter>> create(std::filesystem::path directory, const Secret& data_key,
                                                      std::string_view avatar_id);
  ~SealedWriter();
  SealedWriter(const SealedWriter&) = delete;
  SealedWriter& operator=(const SealedWriter&) = delete;

  Result<void> append(ByteView plain);
  // Seals the last segment and compares the digest of everything ("content-digest-mismatch"); then the file and its
  // name are on disk.
  Result<void> finish(const tokens::Sha256& expected);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  SealedWriter(std::filesystem::path directory, std::string name, File file, SegmentCipher cipher);
  Result<void> write_segment(ByteView plain, bool last);

  std::filesystem::path directory_;
  std::string name_;
  File file_;
  SegmentCipher cipher_;
  Bytes pending_;  // at most one segment, written when something follows it
  std::uint32_t index_ = 0;
  std::uint64_t size_ = 0;
  tokens::Sha256Stream digest_;
  bool finished_ = false;
};

class SealedReader {
 public:
  // size: of the plaintext, from the record. Errors "content-missing", "content-altered" (not the size or the header of
  // such a file).
  static Result<std::unique_ptr<SealedReader>> open(const std::filesystem::path& file, const Secret& data_key,
                                                    std::string_view avatar_id, std::uint64_t size);

  // The verified plaintext of one segment.
  Result<Bytes> segment(std::uint32_t index);
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  SealedReader(File file, SegmentCipher cipher, std::uint64_t size)
      : file_(std::move(file)), cipher_(std::move(cipher)), size_(size) {}

  File file_;
  SegmentCipher cipher_;
  std::uint64_t size_;
};

}  // namespace avseal::dac
