#include "tlog/note.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tlog/keys.hpp"
#include "tlog/proof.hpp"
#include "tlog/witness.hpp"
#include "tokens/base64.hpp"

namespace avseal::tlog {
namespace {

// The example of golang.org/x/mod/sumdb/note, of which signed-note is the specification.
constexpr std::string_view go_vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
constexpr std::string_view go_note =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\xE2\x80\x94 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

TEST(Note, TheExampleOfTheGoLibraryVerifies) {
  const auto note = Note::parse(go_note);
  ASSERT_TRUE(note) << note.error().detail;
  const std::vector keys{VerifierKey::parse(go_vkey).value()};
  EXPECT_EQ(keys[0].text(), go_vkey);
  EXPECT_EQ(keys[0].name(), "PeterNeumann");
  EXPECT_TRUE(signers(*note, keys));
  EXPECT_EQ(note->to_string(), go_note);
  Note changed = *note;
  changed.text[0] = 'i';
  EXPECT_EQ(signers(changed, keys).error().reason, "note-signature-wrong");
}

TEST(Note, AnythingElseThanTheFormIsRefused) {
  const std::string good(go_note);
  const auto with = [&](std::string_view what, std::string_view by) {
    std::string text = good;
    text.replace(text.find(what), what.size(), by);
    return text;
  };
  const std::string cut = good.substr(0, good.size() - 1);
  for (const std::string& wrong : {std::string(),
                                   std::string("\n\n"),
                                   cut,
                                   with("\n\n", "\n"),
                                   with("\xE2\x80\x94", "-"),
                                   with("\xE2\x80\x94", "\xE2\x80\x93"),
                                   with("PeterNeumann", "Peter+Neumann"),
                                   with("PeterNeumann", ""),
                                   with("PeterNeumann", "Peter\xC2\xA0Neumann"),
                                   with("x08go", "x08g_"),
                                   with("JnAM=", "JnAN="),
                                   with("JnAM=", "JnA"),
                                   with("x08go/Z", ""),
                                   with("then", "\tthen"),
                                   with("problem,\n", "problem,\r\n"),
                                   with("then", "the\xFF"),
                                   with("then", "the\xC0\x80"),
                                   good + "\n",
                                   good + "x",
                                   std::string(go_note.substr(0, good.find("\xE2\x80\x94"))),
                                   std::string(70000, 'a') + "\n" + good}) {
    EXPECT_FALSE(Note::parse(wrong)) << wrong.substr(0, 300);
  }
}

TEST(Note, TheLastEmptyLineDividesTextAndSignatures) {
  std::string note = "one\n\ntwo\n\n";
  note += NoteSignature{"name", 1, Bytes(3)}.line();
  const auto read = Note::parse(note);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text, "one\n\ntwo\n");
}

TEST(Note, UnknownSignaturesAreIgnoredAndAWrongKnownOneIsNot) {
  const Signer log("log.example/1", "P-256");
  const Signer other("log.example/1", "P-256");  // the same name, another key
  Note note{"text\n", {}};
  for (std::uint32_t i = 0; i < 20; ++i) note.signatures.push_back({"stranger", i, Bytes(64, 7)});
  const std::vector keys{log.key()};
  EXPECT_EQ(signers(note, keys).error().reason, "note-signature-missing");
  note.signatures.push_back(other.sign(note.text));
  EXPECT_EQ(signers(note, keys).error().reason, "note-signature-missing");
  note.signatures.push_back(log.sign(note.text));
  const auto read = Note::parse(note.to_string());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->signatures, note.signatures);
  EXPECT_EQ(signers(*read, keys).value(), std::vector<std::size_t>{0});
  note.signatures.push_back(log.sign("another text\n"));  // also beside a good one
  EXPECT_EQ(signers(note, keys).error().reason, "note-signature-wrong");
  note.signatures.resize(max_note_signatures + 1, note.signatures[0]);
  EXPECT_FALSE(Note::parse(note.to_string()));
}

TEST(VerifierKey, EcdsaKeyIdsAreHashesOfTheKeyAlone) {
  for (const auto* curve : {"P-256", "P-384"}) {
    const Signer signer("log.example/1", curve);
    const auto spki = signer.key_of_log().spki();
    const auto digest = tokens::sha256(spki);
    EXPECT_EQ(tokens::hex_encode(ByteView(digest).first(4)), signer.key().text().substr(14, 8));
    const auto again = VerifierKey::parse(signer.key().text());
    ASSERT_TRUE(again) << again.error().detail;
    EXPECT_EQ(again->type(), KeyType::ecdsa);
    EXPECT_TRUE(again->verify("text\n", signer.sign("text\n").bytes));
    EXPECT_FALSE(again->verify("text", signer.sign("text\n").bytes));
    EXPECT_FALSE(again->verify("text\n", {}));
  }
}

TEST(VerifierKey, OnlyItsOneTextIsRead) {
  const std::string good(go_vkey);
  for (std::string wrong : {std::string("x"), good + "=", good.substr(0, good.size() - 1), "x" + good, "+" + good,
                            "PeterNeumann+C74F20A3" + good.substr(21), "PeterNeumann+c74f20a4" + good.substr(21),
                            std::string("n+00000000+"), std::string("n+00000000+Ag=="), std::string("n+00000000+AwAA"),
                            std::string(600, 'a') + good}) {
    EXPECT_EQ(VerifierKey::parse(wrong).error().reason, "vkey-malformed") << wrong;
  }
}

TEST(Cosignature, ItsTimeIsSigned) {
  const Cosigner witness("witness.example");
  const std::string text = "log.example/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
  NoteSignature signature = witness.cosign(text, 1'700'000'000);
  EXPECT_EQ(witness.key().verify(text, signature.bytes).value(), 1'700'000'000);
  signature.bytes[7] ^= 1U;
  EXPECT_FALSE(witness.key().verify(text, signature.bytes));
  signature.bytes.resize(64);
  EXPECT_FALSE(witness.key().verify(text, signature.bytes));
}

TEST(Checkpoint, OnlyItsThreeLinesAreRead) {
  const Checkpoint head{"log.example/1", 70000, leaf_hash({})};
  EXPECT_EQ(Checkpoint::parse(head.text()).value(), head);
  EXPECT_EQ(head.text(), "log.example/1\n70000\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n");
  const std::string hash = hash_text(head.root);
  for (const std::string& wrong :
       {std::string(), std::string("\n\n\n"), "o\n1\n" + hash, "o\n1\n" + hash + "\nmore\n", "o\n01\n" + hash + "\n",
        "o\n-1\n" + hash + "\n", "o\n9223372036854775808\n" + hash + "\n", "o\n\n" + hash + "\n",
        "o p\n1\n" + hash + "\n", "\n1\n" + hash + "\n", "o\n1\n" + hash.substr(4) + "\n", "o\r\n1\n" + hash + "\n",
        "o\n1 \n" + hash + "\n"}) {
    EXPECT_EQ(Checkpoint::parse(wrong).error().reason, "checkpoint-malformed") << wrong;
  }
}

class ProofTest : public ::testing::Test {
 protected:
  Signer log_{"log.example/1", "P-256"};
  Hash leaf_ = leaf_hash(as_bytes("leaf"));
  Hash other_ = leaf_hash(as_bytes("other"));
  Checkpoint head_{"log.example/1", 2, node_hash(leaf_, other_)};
  Proof proof_{std::nullopt, 0, {other_}, Note{head_.text(), {log_.sign(head_.text())}}};
};

TEST_F(ProofTest, AReceiptProvesItsLeafAndNoOther) {
  const auto read = Proof::parse(proof_.to_string());
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->to_string(), proof_.to_string());
  EXPECT_TRUE(read->verify(leaf_, head_));
  EXPECT_EQ(read->verify(other_, head_).error().reason, "inclusion-wrong");
  EXPECT_EQ(read->verify(leaf_, {head_.origin, 3, head_.root}).error().reason, "inclusion-wrong");
  proof_.extra = Bytes{1, 2, 3};
  EXPECT_EQ(Proof::parse(proof_.to_string()).value().extra, proof_.extra);
}

TEST_F(ProofTest, AnythingElseThanTheFormIsRefused) {
  const std::string good = proof_.to_string();
  const auto with = [&](std::string_view what, std::string_view by) {
    std::string text = good;
    text.replace(text.find(what), what.size(), by);
    return text;
  };
  std::string many;
  for (int i = 0; i < 64; ++i) many += hash_text(other_) + "\n";
  for (const std::string& wrong : {std::string(), good.substr(1), with("@v1", "@v2"), with("index 0", "index 00"),
                                   with("index 0\n", ""), with("index", "extra !\nindex"), with("\n\n", "\n"),
                                   with("index 0\n", "index 0\n" + many), with("index 0\n", "index 0\nAAAA\n")}) {
    EXPECT_FALSE(Proof::parse(wrong)) << wrong;
  }
}

TEST_F(ProofTest, ARequestToAWitnessIsReadBack) {
  const AddCheckpoint request{1, {other_}, proof_.checkpoint};
  const auto read = AddCheckpoint::parse(request.to_string());
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->to_string(), request.to_string());
  EXPECT_EQ(read->old_size, 1U);
  std::string many = "old 1\n";
  for (int i = 0; i < 64; ++i) many += hash_text(other_) + "\n";
  for (const std::string& wrong :
       {std::string(), std::string("old 1\n"), "old 01\n\n" + proof_.checkpoint.to_string(),
        "new 1\n\n" + proof_.checkpoint.to_string(), "old 1\nxx\n\n" + proof_.checkpoint.to_string(),
        "old 1\n\n" + proof_.checkpoint.text, many + "\n" + proof_.checkpoint.to_string()}) {
    EXPECT_FALSE(AddCheckpoint::parse(wrong)) << wrong.substr(0, 200);
  }
}

TEST(Cosignature, AnAnswerIsOneOrMoreLines) {
  const Cosigner witness("witness.example");
  const auto line = witness.cosign("text\n", 1).line();
  EXPECT_EQ(parse_cosignatures(line + line).value().size(), 2U);
  EXPECT_FALSE(parse_cosignatures(""));
  EXPECT_FALSE(parse_cosignatures(line.substr(0, line.size() - 1)));
  EXPECT_FALSE(parse_cosignatures(line + "\n"));
}

}  // namespace
}  // namespace avseal::tlog
