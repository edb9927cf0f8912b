#include <cstdlib>

#include "tpm-ue/cli/commands.hpp"

int main(int argc, char** argv) {
  // Failures are told once, in our words; TSS2_LOG in the environment brings the library's own back.
  ::setenv("TSS2_LOG", "all+none", 0);

  CLI::App app{
      "avseal-ue: the UE side of protected avatar calls, with its key in a TPM 2.0\n\n"
      "  avseal-ue enroll --impu sip:alice@a.example --url https://op.example --cacert ca.pem --code -\n"
      "                                                   make the key, prove it to the operator, get its certificate\n"
      "  avseal-ue renew --if-due                         a new key and certificate, from a timer\n"
      "  avseal-ue doctor                                 what is wrong, and what to do\n"
      "  avseal-ue fingerprint                            the line for the SDP of an avatar call\n"
      "  avseal-ue token --aud XRAS --avatar ID --app APP the UE token for the XR AS of the call\n\n"
      "The key never leaves the TPM. Every TPM command with a secret is encrypted. See --help of each command."};
  app.name("avseal-ue");
  app.require_subcommand(1);
  int exit_code = 0;
  avseal::ue::add_commands(app, std::make_shared<avseal::ue::Options>(), exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit_code;
}
