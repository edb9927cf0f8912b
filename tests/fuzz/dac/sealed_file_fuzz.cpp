// Edits a sealed file as the input says; what is read back must be the content that was sealed, or nothing.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

#include "dac/sealed_file.hpp"

namespace {

using namespace avseal;

constexpr std::size_t content_size = dac::segment_size + 1'000;

struct Sealed {
  std::filesystem::path directory;
  Secret key = Secret::random(32);
  Bytes content = Bytes(content_size, 0x5a);
  Bytes file;

  Sealed() {
    char name[] = "/tmp/avseal-fuzz-XXXXXX";
    if (mkdtemp(name) == nullptr) std::abort();
    directory = name;
    auto writer = dac::SealedWriter::create(directory, key, "urn:avatar").value();
    if (!writer->append(content) || !writer->finish(tokens::sha256(content))) std::abort();
    std::ifstream in(directory / writer->name(), std::ios::binary);
    file.assign(std::istreambuf_iterator<char>(in), {});
  }
  ~Sealed() {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data, size) {}
  bool empty() const { return data_.empty(); }
  std::size_t number() {
    std::size_t out = 0;
    for (int i = 0; i < 3 && !data_.empty(); ++i, data_ = data_.subspan(1)) out = out << 8 | data_.front();
    return out;
  }

 private:
  ByteView data_;
};

Bytes edited(Bytes file, Input& input) {
  while (!input.empty()) {
    const auto action = input.number() % 4;
    const auto at = file.empty() ? 0 : input.number() % file.size();
    const auto length = std::min(input.number(), file.size() - at);
    const auto begin = file.begin() + static_cast<std::ptrdiff_t>(at);
    if (action == 0 && !file.empty()) *begin = static_cast<std::uint8_t>(input.number());
    if (action == 1) file.erase(begin, begin + static_cast<std::ptrdiff_t>(length));
    if (action == 2) file.insert(file.end(), length, 0);
    if (action == 3) std::rotate(file.begin(), begin, file.end());
  }
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Sealed sealed;
  Input input(data, std::min<std::size_t>(size, 512));
  const auto claimed = input.number() % 4 == 0 ? input.number() : content_size;
  const auto path = sealed.directory / "edited.sealed";
  const auto file = edited(sealed.file, input);
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));

  const auto reader = dac::SealedReader::open(path, sealed.key, "urn:avatar", claimed);
  if (!reader) return 0;
  Bytes out;
  for (std::uint32_t i = 0; out.size() < claimed || i == 0; ++i) {
    const auto segment = (*reader)->segment(i);
    if (!segment) break;
    out.insert(out.end(), segment->begin(), segment->end());
  }
  if (out.size() > sealed.content.size() || !std::equal(out.begin(), out.end(), sealed.content.begin())) std::abort();
  if (out.size() == claimed && claimed != content_size) std::abort();
  return 0;
}
