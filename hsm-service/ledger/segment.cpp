#include "ledger/segment.hpp"

#include <algorithm>

#include "ledger/errors.hpp"

namespace avseal::ledger {

namespace {

constexpr std::string_view segment_magic = "avseal-ledger-1\n";
constexpr std::string_view batch_magic = "avLbatch";
constexpr std::size_t digest_offset = 24;

template <class Integer>
void put(Bytes& out, std::size_t at, Integer value) {
  for (std::size_t i = sizeof value; i-- > 0; value = static_cast<Integer>(value >> 8)) {
    out[at + i] = static_cast<std::uint8_t>(value & 0xff);
  }
}

template <class Integer>
Integer get(ByteView bytes, std::size_t at) {
  Integer value = 0;
  for (const auto byte : bytes.subspan(at, sizeof value)) value = static_cast<Integer>(value << 8 | byte);
  return value;
}

void put(Bytes& out, std::size_t at, std::string_view text) {
  std::copy(text.begin(), text.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
}

void put(Bytes& out, std::size_t at, const tokens::Sha256& digest) {
  std::copy(digest.begin(), digest.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
}

bool has_magic(ByteView bytes, std::string_view magic) {
  return as_text(bytes).substr(0, magic.size()) == magic;
}

tokens::Sha256 leaf_hash(tokens::Sha256Stream& stream, ByteView leaf) {
  constexpr std::uint8_t leaf_prefix[] = {0x00};
  stream.update(leaf_prefix);
  stream.update(leaf);
  return stream.finish();
}

tokens::Sha256 batch_digest(tokens::Sha256Stream& stream, ByteView head, const std::vector<tokens::Sha256>& hashes) {
  stream.update(head);
  for (const auto& hash : hashes) stream.update(hash);
  return stream.finish();
}

Batch broken(std::string_view wrong) {
  Batch batch;
  batch.wrong = wrong;
  return batch;
}

Batch check_batch(ByteView bytes, tokens::Sha256Stream& stream) {
  if (bytes.size() < batch_header_size) return broken("an incomplete batch header");
  if (!has_magic(bytes, batch_magic)) return broken("no batch header");
  const auto header = decode_batch_header(bytes);
  if (!header) return broken("a batch beyond the limits");
  if (header->size > bytes.size() - batch_header_size) return broken("an incomplete batch");
  Batch batch;
  batch.first_index = header->first_index;
  batch.size = batch_header_size + header->size;

  auto records = bytes.subspan(batch_header_size, header->size);
  for (std::size_t i = 0; i < header->leaves; ++i) {
    if (records.size() < record_header_size) return broken("a record beyond its batch");
    const std::size_t length = get<std::uint32_t>(records, 0);
    if (length > max_leaf_size || length > records.size() - record_header_size)
      return broken("a record beyond its batch");
    const auto leaf = records.subspan(record_header_size, length);
    batch.hashes.push_back(leaf_hash(stream, leaf));
    if (!std::equal(batch.hashes.back().begin(), batch.hashes.back().end(), records.begin() + 4))
      return broken("a leaf that does not match its hash");
    batch.leaves.push_back(leaf);
    records = records.subspan(record_header_size + length);
  }
  if (!records.empty()) return broken("bytes behind the last record of a batch");
  const auto digest = batch_digest(stream, bytes.first(digest_offset), batch.hashes);
  if (!std::equal(digest.begin(), digest.end(), bytes.begin() + digest_offset)) {
    return broken("a batch that does not match its digest");
  }
  return batch;
}

// Whether a whole batch or a seal starts anywhere in bytes. JSON cannot hold a batch header: it has zero bytes.
bool has_whole_batch(ByteView bytes, tokens::Sha256Stream& stream) {
  const auto text = as_text(bytes);
  for (auto at = text.find(batch_magic); at != std::string_view::npos; at = text.find(batch_magic, at + 1)) {
    if (check_batch(bytes.subspan(at), stream).wrong.empty()) return true;
  }
  return false;
}

}  // namespace

Bytes encode(const SegmentHeader& header) {
  Bytes out(segment_header_size);
  put(out, 0, segment_magic);
  put(out, 16, header.first_index);
  put(out, 24, header.origin);
  return out;
}

std::optional<SegmentHeader> decode_segment_header(ByteView bytes) {
  if (bytes.size() < segment_header_size || !has_magic(bytes, segment_magic)) return std::nullopt;
  SegmentHeader header;
  header.first_index = get<std::uint64_t>(bytes, 16);
  std::copy_n(bytes.begin() + 24, header.origin.size(), header.origin.begin());
  return header;
}

std::optional<BatchHeader> decode_batch_header(ByteView bytes) {
  if (bytes.size() < batch_header_size || !has_magic(bytes, batch_magic)) return std::nullopt;
  const BatchHeader header{get<std::uint64_t>(bytes, 8), get<std::uint32_t>(bytes, 16), get<std::uint32_t>(bytes, 20)};
  if (header.leaves > max_batch_leaves || header.size > max_batch_size) return std::nullopt;
  return header;
}

Batch read_batch(ByteView bytes) {
  tokens::Sha256Stream stream;
  return check_batch(bytes, stream);
}

Bytes encode_seal(std::uint64_t next_index) {
  BatchBuilder builder;
  builder.start(next_index);
  const auto bytes = builder.finish();
  return {bytes.begin(), bytes.end()};
}

void BatchBuilder::start(std::uint64_t first_index) {
  first_index_ = first_index;
  hashes_.clear();
  buffer_.resize(batch_header_size);
  put(buffer_, 0, batch_magic);
  put(buffer_, 8, first_index);
}

bool BatchBuilder::has_room(std::size_t leaf_size) const {
  return hashes_.size() < max_batch_leaves &&
         buffer_.size() - batch_header_size + record_header_size + leaf_size <= max_batch_size;
}

void BatchBuilder::add(const LeafDraft& draft, std::int64_t unix_ms) {
  const auto at = buffer_.size();
  buffer_.resize(at + record_header_size);
  draft.append_to(buffer_, first_index_ + hashes_.size(), unix_ms);
  const auto leaf = ByteView(buffer_).subspan(at + record_header_size);
  hashes_.push_back(leaf_hash(digest_, leaf));
  put(buffer_, at, static_cast<std::uint32_t>(leaf.size()));
  put(buffer_, at + 4, hashes_.back());
}

ByteView BatchBuilder::finish() {
  put(buffer_, 16, static_cast<std::uint32_t>(hashes_.size()));
  put(buffer_, 20, static_cast<std::uint32_t>(buffer_.size() - batch_header_size));
  put(buffer_, digest_offset, batch_digest(digest_, ByteView(buffer_).first(digest_offset), hashes_));
  return buffer_;
}

Result<SegmentEnd> read_segment(ByteView bytes, const std::filesystem::path& file, const BatchSink& sink) {
  const auto header = decode_segment_header(bytes);
  if (!header) return errors::corrupt(file, 0, "expected the header of a segment");
  tokens::Sha256Stream stream;
  SegmentEnd end;
  end.next_index = header->first_index;
  end.offset = segment_header_size;
  while (end.offset < bytes.size()) {
    const auto rest = bytes.subspan(end.offset);
    end.rest = rest.size();
    const auto batch = check_batch(rest, stream);
    if (!batch.wrong.empty()) {
      if (has_whole_batch(rest.subspan(1), stream)) return errors::corrupt(file, end.offset, batch.wrong);
      return end;
    }
    if (batch.first_index != end.next_index) {
      return errors::corrupt(file, end.offset,
                             fmt::format("expected leaf {}, found {}", end.next_index, batch.first_index));
    }
    if (batch.leaves.empty()) {
      end.sealed = true;
      return end;
    }
    sink(batch);
    end.next_index += batch.leaves.size();
    end.offset += batch.size;
    end.rest = 0;
  }
  return end;
}

}  // namespace avseal::ledger
