// What an audit holds a log to. docs/auditors.md lists these codes.
#pragma once

#include "audit/verdict.hpp"

namespace avseal::audit::rules {

// The leaves, one by one.
inline constexpr Rule leaf_malformed{
    "leaf-malformed", "canonical JSON with the members of a leaf",
    "an entry that avseal did not write is in the signed log: keep it and ask the operator how it came there"};
inline constexpr Rule index_wrong{"index-wrong", "a leaf that names its own place",
                                  "leaves were moved, removed or put in before the tree was made: ask the operator for "
                                  "the node's backups of that day"};
inline constexpr Rule signature_missing{
    "signature-missing", "with what was released, the use of a key that signed it",
    "the node released something that no HSM worker is recorded to have signed: treat the node as taken over until it "
    "is explained"};
inline constexpr Rule uses_omitted{"uses-omitted", "every use of a key in its leaf",
                                   "numbers of these uses cannot be reconciled: compare with the HSM's own log"};

// Their order.
inline constexpr Rule time_back{"time-back", "times that never decrease",
                                "the clock went back unnoticed, or leaves were put in later: compare with other "
                                "systems' logs around that leaf"};
inline constexpr Rule start_missing{"start-missing", "a log that begins with ledger.start of its own origin",
                                    "the beginning of the log is not its own: compare with earlier checkpoints"};
inline constexpr Rule after_stop{"leaf-after-stop", "ledger.start behind ledger.stop",
                                 "something wrote to the log while the node was stopped: ask the operator who"};
inline constexpr Rule previous_differs{
    "previous-differs", "the earlier period as its successor names it",
    "the closed log was altered or exchanged after the turn of the year: get the operator's backup of it"};

// Counters of (worker, key).
inline constexpr Rule number_doubled{
    "number-doubled", "each number of a worker's key once",
    "two leaves claim one signature, or a worker's instance id was used twice: compare "
    "with the HSM's own log"};
inline constexpr Rule numbers_missing{
    "numbers-missing", "a leaf for every signature but those that a recorded death of the worker accounts for",
    "signatures were made that the log does not show: compare with the HSM's own log, and treat the key as misused "
    "until they are explained"};
inline constexpr Rule loss_too_large{"loss-too-large",
                                     "no more requests in flight at a lost connection than the node lets it have",
                                     "a death may have been told to hide signatures, and accounts for no more than "
                                     "that many: compare with the HSM's own "
                                     "log"};
inline constexpr Rule numbers_scattered{"numbers-scattered", "numbers that come nearly in order",
                                        "this counter cannot be judged: ask the operator what wrote these leaves"};
inline constexpr Rule details_malformed{"details-malformed", "the details that this event has",
                                        "what the leaf should account for stays unaccounted for: ask the operator"};

// Keys.
inline constexpr Rule key_unknown{"key-unknown", "a key that a leaf keys.loaded names before its first use",
                                  "a key signed that the log does not know: treat it as misused until the operator "
                                  "explains it"};
inline constexpr Rule key_not_active{"key-not-active", "signatures by keys that are active",
                                     "a staged or replaced key signed: ask the operator why"};
inline constexpr Rule key_retired{"key-retired", "no use of a key that was retired",
                                  "a retired key signed: treat it as misused until the operator explains it"};
inline constexpr Rule key_of_other_kind{"key-of-other-kind", "a signature by a key of the kind that the event needs",
                                        "the event was signed with a key that is not for it: ask the operator why"};

// Files of the log. All but the checkpoint can be made again from a good copy of what is below them.
inline constexpr Rule entry_differs{"entry-differs", "an entry that has the hash of its place in the tree",
                                    "the entry was altered after it was signed: get the entry bundle from the "
                                    "operator's backup or another copy and compare"};
inline constexpr Rule entries_malformed{"entries-malformed", "entries that fill their bundle exactly",
                                        "the file was damaged or altered: get it from a backup or another copy"};
inline constexpr Rule entries_missing{"entries-missing", "a bundle of entries for each 256 leaves",
                                      "the file was deleted: get it from a backup or another copy"};
inline constexpr Rule tile_differs{"tile-differs", "a tile with the hashes of what is below it",
                                   "the file was damaged or altered: proofs made of it will fail; it can be made again "
                                   "from the entries"};
inline constexpr Rule tile_missing{"tile-missing", "a tile for each 256 hashes of each level",
                                   "the file was deleted; it can be made again from the entries"};
inline constexpr Rule log_truncated{"log-truncated", "all leaves that the checkpoint signs",
                                    "the end of the log was removed or an older copy put in its place: keep what is "
                                    "there and ask the operator for the rest"};
inline constexpr Rule root_differs{"root-differs", "entries that lead to the root that the log signed",
                                   "this is not the log that was signed: keep the copy and compare it with another"};
inline constexpr Rule segment_differs{"segment-differs", "a segment with the leaves of the tree",
                                      "the segment file was altered after its leaves were signed: compare it with the "
                                      "entry bundle"};
inline constexpr Rule segment_broken{"segment-broken", "segments whose batches hold together",
                                     "leaves that have no checkpoint yet are damaged: keep the files for the operator"};

// Checkpoints.
inline constexpr Rule checkpoint_unsigned{
    "checkpoint-unsigned", "a checkpoint that the log's key, and the policy's quorum of witnesses, signed",
    "do not rely on this copy: check that the verifier key is the operator's, then ask for the log again"};
inline constexpr Rule checkpoint_of_other_log{"checkpoint-of-other-log", "a checkpoint of this log",
                                              "give the checkpoint of this log, or verify the log that it is of"};
inline constexpr Rule log_shrunk{"log-shrunk", "a log at least as large as the checkpoint that you hold",
                                 "leaves that were signed are gone: the log was cut or an older copy is served. Your "
                                 "checkpoint proves it; keep it and confront the operator"};
inline constexpr Rule log_forked{"log-forked", "one root for one size",
                                 "the log key signed two histories. Both checkpoints together prove it: keep them and "
                                 "stop relying on the log"};
inline constexpr Rule checkpoint_unproved{
    "checkpoint-unproved", "an export with the tiles that prove that its log continues the checkpoint",
    "the log may be another than the one that was signed then: ask for an export that takes this checkpoint along "
    "(avseal ledger export --checkpoint)"};
inline constexpr Rule log_rewritten{"log-rewritten", "a log that continues what the checkpoint that you hold signs",
                                    "leaves that were signed were altered or removed and the tree made anew. Your "
                                    "checkpoint proves it; keep it and stop relying on the log"};

// Exports.
inline constexpr Rule export_differs{"export-differs", "the files that the manifest lists, as they were exported",
                                     "files were altered, added or taken away after the export: ask for it again"};
inline constexpr Rule export_unproved{"export-unproved", "entries that lead to the root of the checkpoint",
                                      "these entries are not proved to be in the log: ask for the export again"};
inline constexpr Rule export_certificate{
    "export-certificate", "certificates of keys that the exported entries name, or of the log's",
    "this certificate says nothing about these entries: ask where it came from, and for the export again"};

// An HSM's own log.
inline constexpr Rule hsm_log_malformed{"hsm-log-malformed", "what `yubihsm-shell -a get-logs` prints, call after call",
                                        "get the file again, with the program's standard output only"};
inline constexpr Rule hsm_log_broken{
    "hsm-log-broken", "entries from the HSM's reset on, each with the hash over itself and the one before it",
    "entries are missing, altered or out of order: give all outputs, one HSM after the other and each in its order; if "
    "you did, treat the keys as misused until it is explained"};
inline constexpr Rule hsm_log_full{"hsm-log-full", "an HSM that logged every boot and every authentication",
                                   "its log was full and nobody read it: ask the operator what happened at that time"};
inline constexpr Rule hsm_signatures_missing{
    "hsm-signatures-missing", "in the HSM's log every signature of which the ledger tells",
    "signatures were made elsewhere or while the HSM did not log them: ask for the logs of all HSMs that have the key, "
    "and whether logging was turned off"};
inline constexpr Rule hsm_signatures_more{"hsm-signatures-more",
                                          "no more signatures than the ledger tells of and workers' test signatures",
                                          "they did not come through avseal, or more tests were made: have the "
                                          "operator show the workers' counts of them, and "
                                          "treat the keys as misused until all are explained"};

}  // namespace avseal::audit::rules
