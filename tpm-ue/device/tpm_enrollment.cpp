#include "device/tpm_enrollment.hpp"

#include "device/enrollment_messages.hpp"
#include "device/errors.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/enrolment_binding.hpp"

namespace avseal::device {

namespace {

constexpr std::string_view challenges_path = "/enrollment/v1/challenges";

// What one enrollment is about; the TPM's jobs share it, for they may outlive a wait.
struct Plan {
  EnrollmentRequest request;
  std::optional<Enrolled> renews{};  // the enrollment that this renews
  std::optional<tpm::EkType> ek{};   // wanted
  DeviceState state{};               // of the key that is current now
  Secret auth{};                     // of the new key
  Bytes ak_unique{};
};

// What the TPM made of the plan.
struct Material {
  TPM2B_PUBLIC parent{};
  tpm::KeyBlob key;
  TPM2B_PUBLIC ak{};
  std::optional<tpm::EkType> ek;
  ChallengeRequest::Endorsement endorsement;
};

// The attestation key of an enrollment, which must be the same again.
Result<tpm::Primary> make_ak(tpm::Context& context, tpm::Session& session, const Enrolled& enrolled) {
  AVSEAL_TRY(tpm::Primary ak, tpm::create_ak(context, session, enrolled.ak_unique));
  AVSEAL_TRY(const Bytes name, tpm::name_of(ak.public_area));
  if (name != enrolled.ak_name) return errors::ak_mismatch();
  return ak;
}

Result<tpm::Primary> make_ak(tpm::Context& context, tpm::Session& session, const Plan& plan) {
  return plan.renews ? make_ak(context, session, *plan.renews) : tpm::create_ak(context, session, plan.ak_unique);
}

// The wanted type, or the first that has a certificate. That its key is in this TPM is known here, not after the code
// was spent.
Result<void> read_endorsement(tpm::Context& context, const Plan& plan, Material& made) {
  for (const tpm::EkType type : tpm::ek_types) {
    if (plan.ek && type != *plan.ek) continue;
    AVSEAL_TRY(auto certificate, tpm::read_ek_certificate(context, type));
    if (!certificate) continue;
    AVSEAL_CHECK(tpm::find_endorsement_key(context, type, *certificate));
    made.ek = type;
    made.endorsement.certificate = std::move(*certificate);
    AVSEAL_TRY(made.endorsement.chain, tpm::read_ek_chain(context, made.endorsement.certificate));
    AVSEAL_TRY(made.endorsement.platform_certificate, tpm::read_platform_certificate(context));
    return {};
  }
  return errors::no_ek_certificate(plan.ek ? tpm::to_string(*plan.ek) : "");
}

// Of three object slots: SRK and the new key, then SRK and AK, then the EK alone.
Result<Material> make_material(tpm::Context& context, const Plan& plan) {
  Material made;
  {
    AVSEAL_TRY(Parent parent, open_parent(context, plan.state));
    made.parent = parent.public_area;
    AVSEAL_TRY(made.key, tpm::create_ue_key(context, parent.srk, parent.session, plan.auth));
    AVSEAL_TRY(const tpm::Primary ak, make_ak(context, parent.session, plan));
    made.ak = ak.public_area;
  }
  if (!plan.renews) AVSEAL_CHECK(read_endorsement(context, plan, made));
  return made;
}

// What the second leg proves, of one run in the TPM.
Result<CertificateDemand> prove(tpm::Context& context, const Plan& plan, const Material& made,
                                const Challenge& challenge, ByteView request_info) {
  CertificateDemand demand;
  AVSEAL_TRY(Parent parent, open_parent(context, plan.state));
  tpm::Session& session = parent.session;
  AVSEAL_TRY(const tpm::Primary ak, make_ak(context, session, plan));
  if (challenge.credential) {
    AVSEAL_TRY(const auto ek, tpm::find_endorsement_key(context, *made.ek, made.endorsement.certificate));
    AVSEAL_TRY(demand.secret, tpm::activate_credential(context, session, ak.handle, ek, *challenge.credential));
  }
  AVSEAL_TRY(const tpm::Handle key, tpm::load_ue_key(context, parent.srk, session, made.key, plan.auth));
  AVSEAL_TRY(const Bytes signature, tpm::sign_digest(context, key, session, tokens::sha256(request_info)));
  AVSEAL_TRY(const tokens::PublicKey public_key, tpm::public_key_of(made.key.public_area));
  AVSEAL_CHECK(public_key.verify(request_info, signature));
  AVSEAL_TRY(demand.csr, tokens::assemble_request(request_info, public_key, signature));

  const tokens::Sha256 digest = tokens::sha256(demand.csr);
  const tokens::Sha256 bound = tokens::qualifying_data(
      {.nonce = challenge.nonce, .request_digest = digest, .impu = plan.request.impu, .server = challenge.server});
  AVSEAL_TRY(demand.certify, tpm::certify(context, session, key, ak.handle, bound));
  if (!challenge.pcrs.empty()) {
    AVSEAL_TRY(demand.quote, tpm::quote(context, session, ak.handle, challenge.pcrs, bound));
  }
  return demand;
}

// Runs `job`, which gives a T, where the TPM is, with its slots free. The result is shared: the wait may end earlier.
template <class T, class Job>
Result<T> in_tpm(tpm::Worker& worker, Job job) {
  const auto made = std::make_shared<std::optional<T>>();
  AVSEAL_CHECK(worker.run_alone([made, job = std::move(job)](tpm::Context& context) -> Result<Bytes> {
    made->reset();
    AVSEAL_TRY(*made, job(context));
    return Bytes{};
  }));
  return std::move(**made);
}

Result<Leg> first_leg(const Plan& plan, Material& made) {
  ChallengeRequest request;
  request.impu = plan.request.impu.canonical();
  AVSEAL_TRY(request.ak, tpm::marshal_public(made.ak.publicArea));
  AVSEAL_TRY(request.key, tpm::marshal_public(made.key.public_area.publicArea));
  AVSEAL_TRY(request.parent, tpm::marshal_public(made.parent.publicArea));
  if (plan.renews) {
    request.device = plan.renews->device;
  } else {
    made.endorsement.code = plan.request.code;
    made.endorsement.serial = plan.request.serial;
    request.ek = made.endorsement;
  }
  return Leg{std::string(challenges_path), render(request)};
}

}  // namespace

Result<void> take_from_disk(const EnrollmentSite& site) {
  AVSEAL_TRY(Current read, read_current(site.directory, site.credentials));
  const auto fresh = std::make_shared<const Current>(std::move(read));
  const auto taken = site.worker.run_alone([current = site.current, fresh](tpm::Context&) {
    current->set(fresh);
    return Result<Bytes>(Bytes{});
  });
  if (!taken && taken.error().reason == "tpm-queue-full") return taken.error();  // the key before is still loaded
  // Without a TPM no key is loaded; that it is away is said when the key is used.
  if (!taken) site.current->set(fresh);
  return {};
}

namespace {

class TpmEnrollment final : public Enrollment {
 public:
  TpmEnrollment(const EnrollmentSite& site, Fd lock, std::shared_ptr<const Plan> plan,
                std::shared_ptr<const Material> made, Leg first)
      : site_(site), lock_(std::move(lock)), plan_(std::move(plan)), made_(std::move(made)), first_(std::move(first)) {}

  [[nodiscard]] const Leg& first() const override { return first_; }

  Result<Leg> answer(std::string_view text) override {
    if (step_ != Step::challenge) return errors::wrong_order();
    AVSEAL_TRY(auto challenge, parse_challenge(text));
    if (challenge.server != plan_->request.server) {
      return errors::server_mismatch(challenge.server, plan_->request.server);
    }
    if (challenge.credential.has_value() == plan_->renews.has_value()) {
      return errors::answer_malformed(plan_->renews ? "a renewal has no credential" : "the credential is missing");
    }
    const std::string impu = plan_->request.impu.canonical();
    AVSEAL_TRY(const tokens::PublicKey key, tpm::public_key_of(made_->key.public_area));
    AVSEAL_TRY(Bytes info, tokens::build_request_info(key, impu, {impu}));
    Leg second{std::string(challenges_path) + "/" + challenge.id + "/certificate", {}};
    AVSEAL_TRY(const CertificateDemand demand,
               in_tpm<CertificateDemand>(
                   site_.worker, [plan = plan_, made = made_, challenge = std::move(challenge), info = std::move(info)](
                                     tpm::Context& context) { return prove(context, *plan, *made, challenge, info); }));
    second.body = render(demand);
    step_ = Step::certificate;
    return second;
  }

  Result<tokens::Certificate> finish(std::string_view text) override {
    if (step_ != Step::certificate) return errors::wrong_order();
    AVSEAL_TRY(const IssuedCertificate issued, parse_issued(text));
    AVSEAL_TRY(auto chain, tokens::Certificate::chain_from_pem(issued.chain));
    AVSEAL_TRY(const tokens::PublicKey key, tpm::public_key_of(made_->key.public_area));
    AVSEAL_CHECK(check_leaf(chain.front(), key, to_unix(site_.clock())));
    AVSEAL_TRY(const tokens::Impu impu, impu_of(chain.front()));
    if (impu.canonical() != plan_->request.impu.canonical()) {
      return errors::certificate_refused("it names another IMPU than was asked for");
    }
    AVSEAL_CHECK(keep(issued));
    step_ = Step::done;
    return chain.front();
  }

 private:
  enum class Step { challenge, certificate, done };

  // The files of the new key first, then the state that names them: whenever this ends, what state.json names is whole.
  // The key before is kept until the next roll, for processes that read the state a moment ago.
  Result<void> keep(const IssuedCertificate& issued) {
    AVSEAL_TRY(const StoredKey key, new_key(issued));
    const std::uint32_t generation = key.state.generation;
    AVSEAL_CHECK(write_key(site_.directory, site_.credentials, key));
    AVSEAL_CHECK(site_.directory.write(files::chain(generation), as_bytes(issued.chain)));
    AVSEAL_CHECK(site_.directory.write(files::state, as_bytes(render_state(key.state))));
    if (generation > 1) forget(generation - 2);
    static_cast<void>(take_from_disk(site_));  // else whoever asks for the key next does it
    return {};
  }

  [[nodiscard]] Result<StoredKey> new_key(const IssuedCertificate& issued) const {
    StoredKey key;
    key.state = plan_->state;
    key.state.generation += 1;
    key.blob = made_->key;
    key.auth = Secret::copy_of(plan_->auth.reveal());
    AVSEAL_TRY(key.state.ue_key_name, tpm::name_of(made_->key.public_area));
    Enrolled enrolled;
    enrolled.server = plan_->request.server;
    enrolled.impu = plan_->request.impu.canonical();
    enrolled.device = issued.device;
    enrolled.renew_after = issued.renew_after;
    enrolled.ek = made_->ek ? std::string(tpm::to_string(*made_->ek)) : plan_->renews->ek;
    enrolled.ak_unique = plan_->ak_unique;
    AVSEAL_TRY(enrolled.ak_name, tpm::name_of(made_->ak));
    key.state.enrolled = std::move(enrolled);
    return key;
  }

  void forget(std::uint32_t generation) const {
    for (const std::string& file : {files::key(generation), files::auth(generation), files::chain(generation)}) {
      site_.directory.remove(file);
    }
  }

  EnrollmentSite site_;
  Fd lock_;
  std::shared_ptr<const Plan> plan_;
  std::shared_ptr<const Material> made_;
  Leg first_;
  Step step_ = Step::challenge;
};

// Nobody else changes the directory until the enrollment ends; what others changed since it was read is taken over.
Result<Fd> lock_state(const EnrollmentSite& site) {
  AVSEAL_TRY(Fd lock, site.directory.lock());
  AVSEAL_TRY(const StoredKey on_disk, read_key(site.directory, site.credentials));
  if (on_disk.state.ue_key_name != site.current->get()->stored->state.ue_key_name) AVSEAL_CHECK(take_from_disk(site));
  return lock;
}

Result<std::unique_ptr<Enrollment>> begin(const EnrollmentSite& site, Fd lock, std::shared_ptr<Plan> plan) {
  plan->state = site.current->get()->stored->state;
  AVSEAL_TRY(plan->auth, new_auth(site.credentials));
  AVSEAL_TRY(Material material,
             in_tpm<Material>(site.worker, [plan](tpm::Context& context) { return make_material(context, *plan); }));
  const auto made = std::make_shared<Material>(std::move(material));
  AVSEAL_TRY(Leg first, first_leg(*plan, *made));
  return std::unique_ptr<Enrollment>(
      std::make_unique<TpmEnrollment>(site, std::move(lock), std::move(plan), made, std::move(first)));
}

}  // namespace

Result<std::unique_ptr<Enrollment>> begin_enrollment(const EnrollmentSite& site, EnrollmentRequest request) {
  AVSEAL_TRY(Fd lock, lock_state(site));
  const auto plan = std::make_shared<Plan>(Plan{.request = std::move(request)});
  const std::optional<Enrolled> before = site.current->get()->stored->state.enrolled;
  plan->ek = plan->request.ek;
  if (!plan->ek && before) plan->ek = tpm::ek_type_of(before->ek);
  plan->ak_unique = tokens::random_bytes(32);
  return begin(site, std::move(lock), plan);
}

Result<std::unique_ptr<Enrollment>> begin_renewal(const EnrollmentSite& site) {
  AVSEAL_TRY(Fd lock, lock_state(site));
  const std::optional<Enrolled> before = site.current->get()->stored->state.enrolled;
  if (!before) return errors::not_enrolled();
  AVSEAL_TRY(const tokens::Impu impu, tokens::Impu::parse(before->impu));
  const auto plan = std::make_shared<Plan>(Plan{.request = {.impu = impu, .server = before->server}});
  plan->renews = before;
  plan->ak_unique = before->ak_unique;
  return begin(site, std::move(lock), plan);
}

Result<void> test_attestation(const EnrollmentSite& site) {
  const auto current = site.current->get();
  if (!current->stored->state.enrolled) return errors::not_enrolled();
  AVSEAL_CHECK(in_tpm<tpm::Attestation>(site.worker, [current](tpm::Context& context) -> Result<tpm::Attestation> {
    const StoredKey& stored = *current->stored;
    AVSEAL_TRY(Parent parent, open_parent(context, stored.state));
    AVSEAL_TRY(const tpm::Primary ak, make_ak(context, parent.session, *stored.state.enrolled));
    AVSEAL_TRY(const tpm::Handle key, tpm::load_ue_key(context, parent.srk, parent.session, stored.blob, stored.auth));
    return tpm::certify(context, parent.session, key, ak.handle, tokens::random_bytes(32));
  }));
  return {};
}

}  // namespace avseal::device
