// Signed notes and verifier keys (C2SP signed-note v1.0.0, tlog-cosignature v1.0.1).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tokens/clock.hpp"
#include "tokens/public_key.hpp"

namespace avseal::tlog {

inline constexpr std::size_t max_note_size = 65536;
inline constexpr std::size_t max_note_signatures = 64;

struct NoteSignature {
  std::string name;
  std::uint32_t key_id = 0;
  Bytes bytes;  // without the key id

  [[nodiscard]] std::string line() const;                     // "— name base64\n"
  static Result<NoteSignature> parse(std::string_view line);  // without the line feed; reason "note-malformed"
  friend bool operator==(const NoteSignature&, const NoteSignature&) = default;
};

struct Note {
  std::string text;  // ends in LF
  std::vector<NoteSignature> signatures;

  [[nodiscard]] std::string to_string() const;
  // Strict: UTF-8, no control characters but LF, 1 to max_note_signatures signature lines. Reason "note-malformed".
  static Result<Note> parse(std::string_view note);
};

bool is_key_name(std::string_view name);  // not empty, no space, no '+', no control characters

enum class KeyType : std::uint8_t {
  ed25519 = 0x01,
  ecdsa = 0x02,        // P-256 or P-384; DER over SHA-256(text); key id = SHA-256(SPKI)[:4]
  cosignature = 0x04,  // of a witness: Ed25519 with a time
};

// What a verifier knows of a signer. Copies share the key.
class VerifierKey {
 public:
  // "<name>+<8 hex key id>+<base64(type || key)>"; ECDSA keys as DER SubjectPublicKeyInfo. Reason "vkey-malformed".
  static Result<VerifierKey> parse(std::string_view text);
  static Result<VerifierKey> of(std::string name, const tokens::PublicKey& key);               // ecdsa
  static Result<VerifierKey> of_ed25519(std::string name, KeyType type, ByteView public_key);  // 32 bytes

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint32_t key_id() const { return key_id_; }
  [[nodiscard]] KeyType type() const { return type_; }
  [[nodiscard]] const Bytes& material() const { return material_; }  // the public key alone
  [[nodiscard]] std::string text() const;

  // A signature of this key over a note's text; gives its time for a cosignature, else 0. Reason
  // "note-signature-wrong".
  [[nodiscard]] Result<UnixSeconds> verify(std::string_view text, ByteView signature) const;
  [[nodiscard]] bool made(const NoteSignature& signature) const;  // by name and key id; not yet verified

 private:
  VerifierKey() = default;
  std::string name_;
  std::uint32_t key_id_ = 0;
  KeyType type_ = KeyType::ecdsa;
  Bytes material_;
  std::shared_ptr<evp_pkey_st> key_;
};

// A signature of a P-256 or P-384 key as an HSM gives it (r || s over SHA-256(text)), as a line of a note.
Result<NoteSignature> ecdsa_signature(const VerifierKey& key, ByteView raw_signature);

// Which of `keys` signed the note (indices into keys, each once). Signatures of other keys are ignored; a wrong one of
// a key that is known: "note-signature-wrong"; none good: "note-signature-missing".
Result<std::vector<std::size_t>> signers(const Note& note, std::span<const VerifierKey> keys);

// What a witness signs at `time` (tlog-cosignature): "cosignature/v1\ntime <time>\n" and the checkpoint's text.
std::string cosignature_message(std::string_view text, UnixSeconds time);

}  // namespace avseal::tlog
