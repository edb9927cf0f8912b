// A note and a checkpoint from anybody: what is read has that one spelling.
#include <cstdlib>

#include "tlog/checkpoint.hpp"
#include "tlog/note.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  if (const auto note = tlog::Note::parse(text)) {
    if (note->to_string() != text || note->signatures.empty()) std::abort();
    const auto head = tlog::Checkpoint::parse(note->text);
    if (head && head->text() != note->text) std::abort();
  }
  if (const auto head = tlog::Checkpoint::parse(text); head && head->text() != text) std::abort();
  return 0;
}
