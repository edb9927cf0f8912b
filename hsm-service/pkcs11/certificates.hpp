#pragma once

#include "pkcs11/session.hpp"
#include "tokens/certificate.hpp"

namespace avseal::pkcs11 {

// Puts the certificate on the token of a read-write session with the key's id and label, in place of others with that
// id: the new one is there before the others go. Error "hsm-error" where the token takes none.
Result<void> store_certificate(Session& session, const tokens::Certificate& certificate, ByteView id,
                               std::string_view label);

// Certificates on the token with the key's id.
Result<std::vector<tokens::Certificate>> stored_certificates(Session& session, ByteView id);

}  // namespace avseal::pkcs11
