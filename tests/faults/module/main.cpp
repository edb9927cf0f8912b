// The shared object's C ABI: the forwarding table.
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <pthread.h>
#include <tuple>

#include "tests/faults/module/special.hpp"

namespace avseal::faults {

namespace {

State* state = nullptr;  // lives as long as the process: modules' exit handlers run in any order

template <Subject S, class... Args>
CK_ULONG first_argument([[maybe_unused]] const std::tuple<Args...>& arguments) {
  if constexpr (S == Subject::none) {
    return 0;
  } else {
    return std::get<0>(arguments);
  }
}

template <class... Args>
bool names_hidden_mechanism(const Call& call, const std::tuple<Args...>& arguments) {
  const auto hidden = [&call](auto argument) {
    if constexpr (std::is_same_v<decltype(argument), CK_MECHANISM*>) {
      return argument != nullptr && is_hidden(call, argument->mechanism);
    } else {
      return false;
    }
  };
  return std::apply([&](auto... all) { return (hidden(all) || ... || false); }, arguments);
}

// The caller's object handle becomes the real module's; false: it means nothing now.
template <class Argument>
bool make_real(const Call& call, Argument& argument) {
  if constexpr (std::is_same_v<Argument, CK_OBJECT_HANDLE>) {
    if (!call.token() || argument == CK_INVALID_HANDLE) return true;
    const auto real = call.state().real_object(*call.token(), argument);
    argument = real.value_or(argument);
    return real.has_value();
  } else {
    return true;
  }
}

template <class Argument>
void make_shown(const Call& call, Argument argument) {
  if constexpr (std::is_same_v<Argument, CK_OBJECT_HANDLE*>) {
    if (call.token() && argument != nullptr) *argument = call.state().shown_object(*call.token(), *argument);
  }
}

template <Function F, Subject S, unsigned In, unsigned Out, auto Member>
struct Forward;

template <Function F, Subject S, unsigned In, unsigned Out, class... Args, CK_RV (*CK_FUNCTION_LIST::*Member)(Args...)>
struct Forward<F, S, In, Out, Member> {
  static CK_RV call(Args... given) {
    std::tuple<Args...> arguments(given...);
    Call call(*state, F, S, first_argument<S>(arguments));
    if (const auto rv = call.begin()) return call.end(*rv);
    const auto in_module = state->calling();
    return call.end(forward(call, arguments, std::index_sequence_for<Args...>{}));
  }

  template <std::size_t... I>
  static CK_RV forward(Call& call, std::tuple<Args...>& arguments, std::index_sequence<I...> /*all*/) {
    if (names_hidden_mechanism(call, arguments)) return CKR_MECHANISM_INVALID;
    if constexpr (S == Subject::slot) std::get<0>(arguments) = call.token()->slot;
    if (!(((In & at(I)) == 0 || make_real(call, std::get<I>(arguments))) && ...)) return CKR_OBJECT_HANDLE_INVALID;
    const CK_RV rv = invoke(call, std::get<I>(arguments)...);
    if (rv == CKR_OK) ((void)((Out & at(I)) == 0 || (make_shown(call, std::get<I>(arguments)), true)), ...);
    return rv;
  }

  static CK_RV invoke(Call& call, Args... arguments) {
    if constexpr (requires { run(Is<F>{}, call, arguments...); }) {
      return run(Is<F>{}, call, arguments...);
    } else {
      return (state->real().*Member)(arguments...);
    }
  }
};

Result<State*> load() {
  const char* const path = std::getenv("AVSEAL_FAULTS");
  if (path == nullptr) return errors::make(Category::invalid, "faults-unusable", "AVSEAL_FAULTS names no directory");
  AVSEAL_TRY(auto directory, Directory::open(path));
  AVSEAL_TRY(const std::filesystem::path file, directory->real_module());
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  const auto get =
      library == nullptr ? nullptr : reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
  CK_FUNCTION_LIST* real = nullptr;
  if (get == nullptr || get(&real) != CKR_OK) {
    return errors::make(Category::invalid, "faults-unusable", file.string() + " is no PKCS#11 module");
  }
  pthread_atfork([] { ++state->directory().facts().forks; }, nullptr, nullptr);
  return new State(*directory.release(), *real);
}

CK_FUNCTION_LIST* table();

CK_RV get_function_list(CK_FUNCTION_LIST** list) {
  if (list == nullptr) return CKR_ARGUMENTS_BAD;
  static const auto loaded = load();
  if (!loaded) {
    std::fprintf(stderr, "avseal-fault-pkcs11: %s\n", loaded.error().detail.c_str());
    return CKR_GENERAL_ERROR;
  }
  state = *loaded;
  *list = table();
  return CKR_OK;
}

CK_FUNCTION_LIST* table() {
  static CK_FUNCTION_LIST list = [] {
    CK_FUNCTION_LIST functions{};
    functions.version = {2, 40};
    functions.C_GetFunctionList = get_function_list;
#define AVSEAL_FORWARD(name, subject, in, out) \
  functions.name = Forward<Function::name, Subject::subject, in, out, &CK_FUNCTION_LIST::name>::call;
    AVSEAL_PKCS11_FUNCTIONS(AVSEAL_FORWARD)
#undef AVSEAL_FORWARD
    return functions;
  }();
  return &list;
}

}  // namespace

}  // namespace avseal::faults

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  return avseal::faults::get_function_list(list);
}
