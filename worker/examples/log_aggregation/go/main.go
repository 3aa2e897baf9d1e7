// The same in Go, with the standard library alone: a pool of goroutines, or one for each log.
//
//	find logs -type f | ./aggregate [-goroutines N] FOLDER
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// The longest line that is read, in bytes, without its newline.
const longestLine = 1 << 20

const topPaths = 10

var months = map[string]string{
	"Jan": "01", "Feb": "02", "Mar": "03", "Apr": "04", "May": "05", "Jun": "06",
	"Jul": "07", "Aug": "08", "Sep": "09", "Oct": "10", "Nov": "11", "Dec": "12",
}

// The first line that applies counts.
var families = [][2]string{
	{"bot", "bot"}, {"Edg/", "edge"}, {"Firefox/", "firefox"},
	{"Chrome/", "chrome"}, {"Safari/", "safari"}, {"curl/", "curl"},
}

// One request.
type record struct {
	minute, client, path, agent string
	status                      int
	bytes                       uint64
	// In microseconds; -1 if the log does not have it.
	micros int64
}

type event struct {
	Time, Client, Path, Agent *string
	Status                    *int
	Bytes                     *uint64
	Micros                    *int64
}

type percentiles struct {
	P50 int64 `json:"p50"`
	P90 int64 `json:"p90"`
	P99 int64 `json:"p99"`
}

type report struct {
	Lines    uint64            `json:"lines"`
	Bytes    uint64            `json:"bytes"`
	Clients  int               `json:"clients"`
	Statuses map[string]uint64 `json:"statuses"`
	Minutes  map[string]uint64 `json:"minutes"`
	Agents   map[string]uint64 `json:"agents"`
	Paths    [][2]any          `json:"paths"`
	Micros   *percentiles      `json:"micros"`
}

func isMinute(text string) bool {
	const shape = "0000-00-00T00:00"
	if len(text) != len(shape) {
		return false
	}
	for i := range shape {
		isDigit := text[i] >= '0' && text[i] <= '9'
		if shape[i] == '0' && !isDigit || shape[i] != '0' && text[i] != shape[i] {
			return false
		}
	}
	return true
}

func isNumber(segment string) bool {
	for i := range len(segment) {
		if segment[i] < '0' || segment[i] > '9' {
			return false
		}
	}
	return segment != ""
}

// A path without its query, where each segment that is a number is {id}.
func normalized(target string) string {
	path, _, _ := strings.Cut(target, "?")
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if i > 0 && isNumber(segment) {
			segments[i] = "{id}"
		}
	}
	return strings.Join(segments, "/")
}

func family(agent string) string {
	for _, one := range families {
		if strings.Contains(agent, one[0]) {
			return one[1]
		}
	}
	return "other"
}

// The minute of 10/Oct/2026:13:55:36 +0000.
func minuteOfNginx(time string) (string, bool) {
	if len(time) < 17 || time[2] != '/' || time[6] != '/' || time[11] != ':' {
		return "", false
	}
	minute := time[7:11] + "-" + months[time[3:6]] + "-" + time[:2] + "T" + time[12:17]
	return minute, isMinute(minute)
}

// A line of nginx's combined format.
func combined(line []byte) (record, bool) {
	text := string(line)
	client, rest, has1 := strings.Cut(text, " ")
	_, rest, has2 := strings.Cut(rest, "[")
	time, rest, has3 := strings.Cut(rest, "] \"")
	request, rest, has4 := strings.Cut(rest, "\" ")
	status, rest, has5 := strings.Cut(rest, " ")
	size, rest, has6 := strings.Cut(rest, " \"")
	_, agent, has7 := strings.Cut(rest, "\" \"")
	agent, has8 := strings.CutSuffix(agent, "\"")
	words := strings.Split(request, " ")
	minute, has9 := minuteOfNginx(time)
	has := has1 && has2 && has3 && has4 && has5 && has6 && has7 && has8 && has9
	if !has || len(words) < 3 {
		return record{}, false
	}
	code, err := strconv.ParseUint(status, 10, 16)
	var bytes uint64
	if err == nil && size != "-" {
		bytes, err = strconv.ParseUint(size, 10, 64)
	}
	ok := err == nil && code >= 100 && code < 600
	return record{minute, client, normalized(words[1]), family(agent), int(code), bytes, -1}, ok
}

// A line of JSON.
func fromJSON(line []byte) (record, bool) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Time == nil || e.Client == nil || e.Path == nil ||
		e.Agent == nil || e.Status == nil || e.Bytes == nil || e.Micros == nil {
		return record{}, false
	}
	ok := len(*e.Time) >= 16 && isMinute((*e.Time)[:16]) && *e.Status >= 100 && *e.Status < 600
	if !ok || *e.Micros < 0 {
		return record{}, false
	}
	path, agent := normalized(*e.Path), family(*e.Agent)
	return record{(*e.Time)[:16], *e.Client, path, agent, *e.Status, *e.Bytes, *e.Micros}, true
}

func percentile(sorted []int64, percentage int) int64 {
	return sorted[(len(sorted)*percentage+99)/100-1]
}

// The report about a log, as a line of JSON.
func aggregate(log string, content []byte) ([]byte, error) {
	stem, isCompressed := strings.CutSuffix(log, ".gz")
	parse := combined
	if strings.HasSuffix(stem, ".jsonl") {
		parse = fromJSON
	} else if !strings.HasSuffix(stem, ".log") {
		return nil, errors.New("its name must end in .log, .jsonl, .log.gz or .jsonl.gz")
	}
	var input io.Reader = bytes.NewReader(content)
	if isCompressed {
		unpacked, err := gzip.NewReader(input)
		if err != nil {
			return nil, err
		}
		input = unpacked
	}
	lines := bufio.NewScanner(input)
	// It needs room for the newline.
	lines.Buffer(make([]byte, 64<<10), longestLine+1)
	sums := report{
		Statuses: map[string]uint64{}, Minutes: map[string]uint64{}, Agents: map[string]uint64{},
	}
	clients, paths := map[string]struct{}{}, map[string]uint64{}
	statuses := map[int]uint64{}
	var micros []int64
	for lines.Scan() {
		sums.Lines++
		line := lines.Bytes()
		if !utf8.Valid(line) {
			return nil, fmt.Errorf("line %d is not UTF-8", sums.Lines)
		}
		one, ok := parse(line)
		if !ok {
			return nil, fmt.Errorf("line %d has another format", sums.Lines)
		}
		sums.Bytes += one.bytes
		statuses[one.status]++
		sums.Minutes[one.minute]++
		sums.Agents[one.agent]++
		clients[one.client] = struct{}{}
		paths[one.path]++
		if one.micros >= 0 {
			micros = append(micros, one.micros)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d is longer than %d bytes", sums.Lines+1, longestLine)
	} else if err != nil {
		return nil, fmt.Errorf("it cannot be decompressed after line %d: %w", sums.Lines, err)
	}
	sums.Clients = len(clients)
	for status, count := range statuses {
		sums.Statuses[strconv.Itoa(status)] = count
	}
	sums.Paths = mostFrequent(paths)
	if slices.Sort(micros); len(micros) > 0 {
		sums.Micros = &percentiles{
			percentile(micros, 50), percentile(micros, 90), percentile(micros, 99),
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(sums)
	return text.Bytes(), err
}

func mostFrequent(paths map[string]uint64) [][2]any {
	names := make([]string, 0, len(paths))
	for path := range paths {
		names = append(names, path)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(paths[b], paths[a]), cmp.Compare(a, b))
	})
	top := [][2]any{}
	for _, path := range names[:min(topPaths, len(names))] {
		top = append(top, [2]any{path, paths[path]})
	}
	return top
}

// Writes a file that is there with all of its content, or not at all.
func writeAtomically(path string, content []byte) error {
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	file, err := os.Create(temporary)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func writeReport(log, folder string) error {
	content, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	report, err := aggregate(log, content)
	if err != nil {
		return err
	}
	return writeAtomically(filepath.Join(folder, filepath.Base(log)+".json"), report)
}

func main() {
	goroutines := flag.Int("goroutines", 100, "how many run at once; 0: one for each log")
	flag.Parse()
	if flag.NArg() != 1 || *goroutines < 0 {
		fmt.Fprintln(os.Stderr, "usage: aggregate [-goroutines N] FOLDER < list")
		os.Exit(2)
	}
	folder := flag.Arg(0)
	list, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "aggregate: standard input:", err)
		os.Exit(2)
	}
	logs := strings.Split(strings.TrimSuffix(string(list), "\n"), "\n")
	if len(list) == 0 {
		return
	}
	var failed atomic.Int64
	handle := func(log string) {
		if err := writeReport(log, folder); err != nil {
			fmt.Fprintf(os.Stderr, "aggregate: %s: %v\n", log, err)
			failed.Add(1)
		}
	}
	var all sync.WaitGroup
	queue := make(chan string)
	for range *goroutines {
		all.Add(1)
		go func() {
			defer all.Done()
			for log := range queue {
				handle(log)
			}
		}()
	}
	for _, log := range logs {
		if *goroutines > 0 {
			queue <- log
			continue
		}
		all.Add(1)
		go func() {
			defer all.Done()
			handle(log)
		}()
	}
	close(queue)
	all.Wait()
	if failed.Load() > 0 {
		fmt.Fprintf(os.Stderr, "aggregate: %d logs failed\n", failed.Load())
		os.Exit(1)
	}
}
