// Objects and signatures.
#include <algorithm>
#include <cstring>
#include <memory>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "tests/faults/module/special.hpp"
#include "tokens/bytes.hpp"

namespace avseal::faults {

namespace {

// A DER octet string's contents, which are shorter than 128 bytes on the curves that count here or begin with 0x81.
ByteView contents(ByteView der) {
  const std::size_t header = der.size() > 2 && der[1] == 0x81 ? 3 : 2;
  return der.size() > header ? der.subspan(header) : der;
}

Bytes encode_point(ByteView der, PointForm form) {
  const ByteView raw = contents(der);
  if (form == PointForm::raw) return {raw.begin(), raw.end()};
  if (form == PointForm::der) return {der.begin(), der.end()};
  Bytes bits{0x03};
  if (raw.size() + 1 >= 128) bits.push_back(0x81);
  bits.push_back(static_cast<std::uint8_t>(raw.size() + 1));
  bits.push_back(0);  // no unused bits
  bits.insert(bits.end(), raw.begin(), raw.end());
  return bits;
}

// Gives the bytes as the value of an attribute that the caller asked for.
CK_RV give(const Bytes& value, CK_ATTRIBUTE& asked) {
  const CK_ULONG room = asked.ulValueLen;
  asked.ulValueLen = value.size();
  if (asked.pValue == nullptr) return CKR_OK;
  if (room < value.size()) {
    asked.ulValueLen = CK_UNAVAILABLE_INFORMATION;
    return CKR_BUFFER_TOO_SMALL;
  }
  std::memcpy(asked.pValue, value.data(), value.size());
  return CKR_OK;
}

Bytes hash(CK_MECHANISM_TYPE mechanism, const unsigned char* data, CK_ULONG size) {
  Bytes digest(EVP_MAX_MD_SIZE);
  std::size_t length = 0;
  EVP_Q_digest(nullptr, mechanism == CKM_ECDSA_SHA256 ? "SHA256" : "SHA384", nullptr, data, size, digest.data(),
               &length);
  digest.resize(length);
  return digest;
}

Bytes to_der(ByteView signature) {
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(ECDSA_SIG_new(), ECDSA_SIG_free);
  const int half = static_cast<int>(signature.size() / 2);
  ECDSA_SIG_set0(pair.get(), BN_bin2bn(signature.data(), half, nullptr),
                 BN_bin2bn(signature.data() + half, half, nullptr));
  Bytes der(static_cast<std::size_t>(i2d_ECDSA_SIG(pair.get(), nullptr)));
  unsigned char* out = der.data();
  i2d_ECDSA_SIG(pair.get(), &out);
  return der;
}

// Signs again with another key; false if no other key of this process can.
bool sign_with_other(Call& call, CK_SESSION_HANDLE session, ByteView data, unsigned char* signature, CK_ULONG* size) {
  const CK_FUNCTION_LIST& real = call.state().real();
  for (const CK_OBJECT_HANDLE key : call.state().other_keys(*call.session())) {
    CK_MECHANISM mechanism{call.session()->mechanism, nullptr, 0};
    if (real.C_SignInit(session, &mechanism, key) != CKR_OK) continue;
    if (real.C_Sign(session, const_cast<unsigned char*>(data.data()), data.size(), signature, size) == CKR_OK)
      return true;
  }
  return false;
}

void record_use(Call& call, CK_SESSION_HANDLE session) {
  std::array<char, 64> label{};
  CK_ATTRIBUTE attribute{CKA_LABEL, label.data(), label.size()};
  const CK_RV rv = call.state().real().C_GetAttributeValue(session, call.session()->key, &attribute, 1);
  const std::string name = rv == CKR_OK ? std::string(label.data(), attribute.ulValueLen) : "?";
  call.state().directory().record_use(call.session()->token.label + " " + name);
}

// Makes a good signature the rule's; the buffer has `room`.
CK_RV deform(SignatureForm form, unsigned char* signature, CK_ULONG* size, CK_ULONG room) {
  switch (form) {
    case SignatureForm::too_short:
      --*size;
      return CKR_OK;
    case SignatureForm::too_long:
      if (room <= *size) return CKR_BUFFER_TOO_SMALL;
      signature[(*size)++] = 0;
      return CKR_OK;
    case SignatureForm::der: {
      const Bytes der = to_der({signature, *size});
      if (room < der.size()) return CKR_BUFFER_TOO_SMALL;
      std::copy(der.begin(), der.end(), signature);
      *size = der.size();
      return CKR_OK;
    }
    default:
      signature[*size - 1] ^= 1;
      return CKR_OK;
  }
}

}  // namespace

CK_RV run(Is<Function::C_FindObjects>, Call& call, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE* objects, CK_ULONG room,
          CK_ULONG* count) {
  const CK_RV rv = call.state().real().C_FindObjects(session, objects, room, count);
  if (rv != CKR_OK || !call.token()) return rv;
  for (CK_ULONG i = 0; i < *count; ++i) objects[i] = call.state().shown_object(*call.token(), objects[i]);
  return rv;
}

CK_RV run(Is<Function::C_GetAttributeValue>, Call& call, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
          CK_ATTRIBUTE* attributes, CK_ULONG count) {
  const CK_FUNCTION_LIST& real = call.state().real();
  const Rule* const rule = call.rule(Effect::ec_point);
  if (rule == nullptr || attributes == nullptr) return real.C_GetAttributeValue(session, object, attributes, count);
  std::array<std::uint8_t, 256> point{};
  std::vector<CK_ATTRIBUTE> asked(attributes, attributes + count);
  const auto is_point = [](const CK_ATTRIBUTE& attribute) { return attribute.type == CKA_EC_POINT; };
  for (CK_ATTRIBUTE& attribute : asked) {
    if (is_point(attribute)) attribute = {CKA_EC_POINT, point.data(), point.size()};
  }
  CK_RV rv = real.C_GetAttributeValue(session, object, asked.data(), count);
  for (CK_ULONG i = 0; i < count; ++i) {
    const bool known = asked[i].ulValueLen != CK_UNAVAILABLE_INFORMATION;
    if (!is_point(asked[i]) || !known) {
      attributes[i].ulValueLen = asked[i].ulValueLen;
    } else if (const CK_RV given =
                   give(encode_point(ByteView(point).first(asked[i].ulValueLen), rule->point), attributes[i]);
               given != CKR_OK) {
      rv = given;
    }
  }
  return rv;
}

CK_RV run(Is<Function::C_SignInit>, Call& call, CK_SESSION_HANDLE session, CK_MECHANISM* mechanism,
          CK_OBJECT_HANDLE key) {
  if (mechanism == nullptr) return CKR_ARGUMENTS_BAD;
  CK_MECHANISM used = *mechanism;
  CK_MECHANISM_TYPE hashes_for = 0;
  const bool hashing = used.mechanism == CKM_ECDSA_SHA256 || used.mechanism == CKM_ECDSA_SHA384;
  if (hashing && call.rule(Effect::hashing_ecdsa) != nullptr) {
    hashes_for = used.mechanism;
    used.mechanism = CKM_ECDSA;
  }
  const CK_RV rv = call.state().real().C_SignInit(session, &used, key);
  if (rv == CKR_OK) call.state().signing(session, used.mechanism, hashes_for, key);
  return rv;
}

CK_RV run(Is<Function::C_Sign>, Call& call, CK_SESSION_HANDLE session, unsigned char* data, CK_ULONG size,
          unsigned char* signature, CK_ULONG* signature_size) {
  if (data == nullptr) return call.state().real().C_Sign(session, data, size, signature, signature_size);
  const CK_MECHANISM_TYPE hashes_for = call.session() ? call.session()->hashes_for : 0;
  Bytes input = hashes_for != 0 ? hash(hashes_for, data, size) : Bytes(data, data + size);
  const CK_ULONG room = signature_size == nullptr ? 0 : *signature_size;
  const CK_RV rv = call.state().real().C_Sign(session, input.data(), input.size(), signature, signature_size);
  if (rv == CKR_OK && signature != nullptr && call.session() && call.rule(Effect::record_uses) != nullptr) {
    record_use(call, session);
  }
  const Rule* const rule = call.rule(Effect::signature);
  if (rv != CKR_OK || signature == nullptr || rule == nullptr || !call.state().directory().strikes(*rule)) return rv;
  if (rule->signature == SignatureForm::other_key) {
    *signature_size = room;
    if (sign_with_other(call, session, input, signature, signature_size)) return CKR_OK;
    *signature_size = std::min<CK_ULONG>(room, 2 * input.size());
  }
  return deform(rule->signature, signature, signature_size, room);
}

}  // namespace avseal::faults
