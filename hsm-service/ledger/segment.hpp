// A segment file: a header, then batches; one batch is one group commit. All integers are big-endian.
//
//   header   "avseal-ledger-1\n" (16) | index of the first leaf (8) | SHA-256 of the origin (32)
//   batch    "avLbatch" (8) | index of its first leaf (8) | number of leaves (4) | bytes of the records (4)
//            | SHA-256 over those 24 bytes and the leaf hashes in order (32) | records
//   record   length (4) | RFC 6962 leaf hash: SHA-256(0x00 || leaf) (32) | leaf
//   seal     a batch without leaves, after the last batch once that is on disk; the next batch overwrites it
//
// A batch is written only when the one before it is on disk. So what does not hold together at the end of the last
// segment and has no whole batch or seal behind it was never committed (a torn tail); anywhere else it is damage.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "ledger/leaf.hpp"
#include "tokens/digest.hpp"
#include "tokens/result.hpp"

namespace avseal::ledger {

inline constexpr std::size_t segment_header_size = 56;
inline constexpr std::size_t batch_header_size = 56;
inline constexpr std::size_t record_header_size = 36;
inline constexpr std::size_t max_batch_leaves = 2048;
inline constexpr std::size_t max_batch_size = 4 << 20;  // of the records

struct SegmentHeader {
  std::uint64_t first_index = 0;
  tokens::Sha256 origin{};
};
Bytes encode(const SegmentHeader& header);
std::optional<SegmentHeader> decode_segment_header(ByteView bytes);
Bytes encode_seal(std::uint64_t next_index);

// Builds one batch in a buffer that is used again.
class BatchBuilder {
 public:
  void start(std::uint64_t first_index);
  [[nodiscard]] bool has_room(std::size_t leaf_size) const;
  void add(const LeafDraft& draft, std::int64_t unix_ms);  // the finished leaf has at most max_leaf_size bytes
  [[nodiscard]] std::uint64_t leaves() const { return hashes_.size(); }
  ByteView finish();  // valid until start()

 private:
  std::uint64_t first_index_ = 0;
  Bytes buffer_;
  std::vector<tokens::Sha256> hashes_;
  tokens::Sha256Stream digest_;
};

struct BatchHeader {
  std::uint64_t first_index = 0;
  std::size_t leaves = 0;  // 0: a seal
  std::size_t size = 0;    // of the records
};
std::optional<BatchHeader> decode_batch_header(ByteView bytes);  // empty: none, or beyond the limits

// The batch at the front of `bytes`, into which the leaves point; or what is wrong with it.
struct Batch {
  std::uint64_t first_index = 0;
  std::size_t size = 0;  // with its header
  std::vector<ByteView> leaves;
  std::vector<tokens::Sha256> hashes;
  std::string_view wrong;
};
Batch read_batch(ByteView bytes);

struct SegmentEnd {
  std::uint64_t next_index = 0;
  std::uint64_t offset = 0;  // end of the last whole batch
  bool sealed = false;       // a seal follows there
  std::uint64_t rest = 0;    // bytes after offset: the seal, a torn batch, or what lies behind them
};

using BatchSink = std::function<void(const Batch& batch)>;

// Checks every batch of a segment and hands on the whole ones. Error "ledger-corrupt" with the file, the
// offset and what was found: a bad header, or a broken batch with a whole one or a seal behind it.
Result<SegmentEnd> read_segment(ByteView bytes, const std::filesystem::path& file, const BatchSink& sink);

}  // namespace avseal::ledger
