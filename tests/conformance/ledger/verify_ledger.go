// A second verifier of avseal's log, on code that is not avseal's: golang.org/x/mod/sumdb/note and sumdb/tlog.
//
//	verify_ledger LOG VKEY [RECEIPT]...
//
// LOG is a directory in the layout of C2SP tlog-tiles. The program opens the checkpoint, hashes all entry bundles again,
// compares the root, and proves every leaf to be in the tree out of the tiles. Receipts are C2SP tlog-proof@v1, whose
// `extra` line has the entry.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 256
	ecdsaType  = 2
)

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "verify_ledger:", err)
		os.Exit(1)
	}
}

func fail(format string, args ...any) {
	check(fmt.Errorf(format, args...))
}

// ecdsaVerifier is what sumdb/note does not know: note signature type 0x02.
type ecdsaVerifier struct {
	name string
	id   uint32
	key  *ecdsa.PublicKey
}

func (v ecdsaVerifier) Name() string    { return v.name }
func (v ecdsaVerifier) KeyHash() uint32 { return v.id }
func (v ecdsaVerifier) Verify(message, signature []byte) bool {
	digest := sha256.Sum256(message)
	return ecdsa.VerifyASN1(v.key, digest[:], signature)
}

func parseVerifier(vkey string) note.Verifier {
	parts := strings.SplitN(strings.TrimSpace(vkey), "+", 3)
	if len(parts) != 3 {
		fail("no verifier key: %q", vkey)
	}
	typed := must(base64.StdEncoding.DecodeString(parts[2]))
	if typed[0] != ecdsaType {
		fail("expected an ECDSA key, found type %d", typed[0])
	}
	id := sha256.Sum256(typed[1:])
	if fmt.Sprintf("%08x", binary.BigEndian.Uint32(id[:])) != parts[1] {
		fail("the key id %s is not that of the key", parts[1])
	}
	key, ok := must(x509.ParsePKIXPublicKey(typed[1:])).(*ecdsa.PublicKey)
	if !ok {
		fail("the key is no EC key")
	}
	return ecdsaVerifier{parts[0], binary.BigEndian.Uint32(id[:]), key}
}

func openCheckpoint(signed []byte, verifier note.Verifier) tlog.Tree {
	opened := must(note.Open(signed, note.VerifierList(verifier)))
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		fail("no checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size := must(strconv.ParseInt(lines[1], 10, 64))
	var root tlog.Hash
	copy(root[:], must(base64.StdEncoding.DecodeString(lines[2])))
	return tlog.Tree{N: size, Hash: root}
}

func tilePath(level string, index int64, width int) string {
	path := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		path = fmt.Sprintf("x%03d/%s", index%1000, path)
	}
	path = "tile/" + level + "/" + path
	if width < tileWidth {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}

// readTile falls back on the full tile where the partial one is gone.
func readTile(log, level string, index int64, width int) []byte {
	data, err := os.ReadFile(filepath.Join(log, tilePath(level, index, width)))
	if os.IsNotExist(err) && width < tileWidth {
		data, err = os.ReadFile(filepath.Join(log, tilePath(level, index, tileWidth)))
	}
	check(err)
	return data
}

// tiles is a tlog.TileReader over the directory.
type tiles struct{ log string }

func (t tiles) Height() int                                 { return tileHeight }
func (t tiles) SaveTiles(wanted []tlog.Tile, data [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		data := readTile(t.log, strconv.Itoa(tile.L), tile.N, tile.W)
		all = append(all, data[:tile.W*tlog.HashSize])
	}
	return all, nil
}

func readEntries(log string, size int64) [][]byte {
	var entries [][]byte
	for index := int64(0); index*tileWidth < size; index++ {
		width := min(size-index*tileWidth, tileWidth)
		bundle := readTile(log, "entries", index, int(width))
		for i := int64(0); i < width; i++ {
			length := int(binary.BigEndian.Uint16(bundle))
			entries = append(entries, bundle[2:2+length])
			bundle = bundle[2+length:]
		}
	}
	return entries
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

// stored is the tree over the entries, made anew.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, index := range indexes {
		out = append(out, s[index])
	}
	return out, nil
}

func hashAll(entries [][]byte) stored {
	var hashes stored
	for i, entry := range entries {
		hashes = append(hashes, must(tlog.StoredHashes(int64(i), entry, hashes))...)
	}
	return hashes
}

func checkLeaf(index int64, entry []byte) {
	var leaf struct {
		Index int64  `json:"index"`
		Event string `json:"event"`
	}
	check(json.Unmarshal(entry, &leaf))
	if leaf.Index != index || leaf.Event == "" {
		fail("entry %d says that it is leaf %d, event %q", index, leaf.Index, leaf.Event)
	}
}

func checkReceipt(file string, verifier note.Verifier) {
	text := must(os.ReadFile(file))
	head, checkpoint, found := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") {
		fail("%s: no receipt with its entry", file)
	}
	entry := must(base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra ")))
	index := must(strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64))
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		var hash tlog.Hash
		copy(hash[:], must(base64.StdEncoding.DecodeString(line)))
		proof = append(proof, hash)
	}
	tree := openCheckpoint(checkpoint, verifier)
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
	checkLeaf(index, entry)
	fmt.Printf("%s: leaf %d is in the tree of %d\n", file, index, tree.N)
}

func main() {
	if len(os.Args) < 3 {
		fail("usage: verify_ledger LOG VKEY [RECEIPT]...")
	}
	log := os.Args[1]
	verifier := parseVerifier(string(must(os.ReadFile(os.Args[2]))))
	tree := openCheckpoint(must(os.ReadFile(filepath.Join(log, "checkpoint"))), verifier)
	entries := readEntries(log, tree.N)
	hashes := hashAll(entries)
	if tree.N > 0 && must(tlog.TreeHash(tree.N, hashes)) != tree.Hash {
		fail("the entries lead to another root than the checkpoint signs")
	}
	fromTiles := tlog.TileHashReader(tree, tiles{log})
	for i, entry := range entries {
		index := int64(i)
		proof := must(tlog.ProveRecord(tree.N, index, fromTiles))
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
		checkLeaf(index, entry)
	}
	for old := int64(1); old < tree.N; old = old*2 + 1 {
		proof := must(tlog.ProveTree(tree.N, old, fromTiles))
		check(tlog.CheckTree(proof, tree.N, tree.Hash, old, must(tlog.TreeHash(old, hashes))))
	}
	fmt.Printf("%s: %d leaves are in the tree that %s signed\n", log, tree.N, verifier.Name())
	for _, receipt := range os.Args[3:] {
		checkReceipt(receipt, verifier)
	}
}
