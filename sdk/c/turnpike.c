/* The contract's exports around a policy's functions, and the few tools that they need. Decides
 * nothing. */
#include "turnpike.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define DECIMALS 12
#define WHOLE_DIGITS_MAX 15
#define LOG_BYTES_MAX 1024
#define REASON_BYTES_MAX 512
#define LINES_MAX 64

static char refusal_words[REASON_BYTES_MAX];
static bool refusal_is_invalid;

void *tp_alloc(size_t bytes) {
  void *made = calloc(1, bytes ? bytes : 1);
  if (!made) __builtin_trap();
  return made;
}

static tp_str str(const char *bytes, size_t length) {
  tp_str made = {tp_alloc(length), length};
  memcpy(made.ptr, bytes, length);
  return made;
}

tp_str tp_copy(const char *text) { return str(text, strlen(text)); }

bool tp_equal(tp_str text, const char *other) {
  return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

bool tp_contains(tp_str text, const char *part) {
  size_t length = strlen(part);
  for (size_t at = 0; at + length <= text.len; at++) {
    if (memcmp(text.ptr + at, part, length) == 0) return true;
  }
  return false;
}

static size_t put(char *out, size_t at, size_t room, const char *text) {
  while (*text && at + 1 < room) out[at++] = *text++;
  return at;
}

static size_t put_number(char *out, size_t at, size_t room, int number) {
  char digits[12];
  size_t count = sizeof digits;
  unsigned rest = number < 0 ? 0u - (unsigned)number : (unsigned)number;
  digits[--count] = 0;
  do digits[--count] = (char)('0' + rest % 10);
  while (rest /= 10);
  if (number < 0) at = put(out, at, room, "-");
  return put(out, at, room, digits + count);
}

/* printf would bring the whole of stdio, and with it WASI. */
void tp_log(turnpike_policy_log_level_t level, const char *format, ...) {
  char out[LOG_BYTES_MAX];
  size_t at = 0;
  va_list given;
  va_start(given, format);
  for (; *format && at + 1 < sizeof out; format++) {
    if (format[0] == '%' && format[1] == 's') {
      at = put(out, at, sizeof out, va_arg(given, const char *));
      format++;
    } else if (format[0] == '%' && format[1] == 'd') {
      at = put_number(out, at, sizeof out, va_arg(given, int));
      format++;
    } else {
      out[at++] = *format;
    }
  }
  va_end(given);
  tp_str message = {(uint8_t *)out, at};
  turnpike_policy_log_write(level, &message);
}

static tp_outcome refuse(const char *why, bool invalid) {
  size_t at = put(refusal_words, 0, sizeof refusal_words, why);
  refusal_words[at] = 0;
  refusal_is_invalid = invalid;
  tp_log(TURNPIKE_POLICY_LOG_LEVEL_ERROR, "%s", refusal_words);
  return TP_REFUSED;
}

tp_outcome tp_invalid(const char *why) { return refuse(why, true); }
tp_outcome tp_internal(const char *why) { return refuse(why, false); }

bool tp_usd_parse(tp_str text, tp_pico *amount) {
  tp_pico pico = 0;
  size_t whole = 0, decimals = 0;
  bool point = false;
  for (size_t at = 0; at < text.len; at++) {
    uint8_t byte = text.ptr[at];
    if (byte == '.' && !point && whole > 0) {
      point = true;
    } else if (byte >= '0' && byte <= '9') {
      if (point ? ++decimals > DECIMALS : ++whole > WHOLE_DIGITS_MAX) return false;
      pico = pico * 10 + (byte - '0');
    } else {
      return false;
    }
  }
  if (whole == 0 || (point && decimals == 0)) return false;
  for (; decimals < DECIMALS; decimals++) pico *= 10;
  *amount = pico;
  return true;
}

tp_str tp_usd_print(tp_pico amount) {
  char digits[48];
  size_t at = sizeof digits;
  bool any = false;
  for (int place = 0; place < DECIMALS || amount > 0 || place == DECIMALS; place++) {
    if (place == DECIMALS && any) digits[--at] = '.';
    char digit = (char)('0' + (int)(amount % 10));
    amount /= 10;
    any = any || digit != '0' || place >= DECIMALS;
    if (any) digits[--at] = digit;
  }
  return str(digits + at, sizeof digits - at);
}

/* The configuration is JSON that the host has validated: this only finds its way through it. */
typedef struct {
  const uint8_t *at, *end;
} cursor;

static void blanks(cursor *it) {
  while (it->at < it->end && strchr(" \n\r\t", *it->at)) it->at++;
}

/* The text between quotes, escapes and all; the cursor goes behind it. */
static tp_str quoted(cursor *it) {
  const uint8_t *begin = ++it->at;
  while (it->at < it->end && *it->at != '"') it->at += *it->at == '\\' ? 2 : 1;
  if (it->at > it->end) it->at = it->end;
  tp_str found = {(uint8_t *)begin, (size_t)(it->at - begin)};
  if (it->at < it->end) it->at++;
  return found;
}

static tp_str value(cursor *it) {
  const uint8_t *begin = it->at;
  int depth = 0;
  while (it->at < it->end) {
    uint8_t byte = *it->at;
    if (byte == '"') {
      quoted(it);
      continue;
    }
    if (depth == 0 && (byte == ',' || byte == '}')) break;
    if (byte == '{' || byte == '[') depth++;
    if (byte == '}' || byte == ']') depth--;
    it->at++;
  }
  const uint8_t *end = it->at;
  while (end > begin && strchr(" \n\r\t", end[-1])) end--;
  return (tp_str){(uint8_t *)begin, (size_t)(end - begin)};
}

static bool member(tp_str config, const char *name, tp_str *found) {
  cursor it = {config.ptr, config.ptr + config.len};
  blanks(&it);
  if (it.at >= it.end || *it.at != '{') return false;
  it.at++;
  while (it.at < it.end) {
    blanks(&it);
    if (it.at >= it.end || *it.at != '"') return false;
    tp_str key = quoted(&it);
    while (it.at < it.end && *it.at != ':') it.at++;
    if (it.at < it.end) it.at++;
    blanks(&it);
    *found = value(&it);
    if (tp_equal(key, name)) return true;
    if (it.at < it.end) it.at++;
  }
  return false;
}

bool tp_config_number(tp_str config, const char *name, double *value) {
  tp_str text;
  char digits[64];
  if (!member(config, name, &text) || text.len == 0 || text.len >= sizeof digits) return false;
  memcpy(digits, text.ptr, text.len);
  digits[text.len] = 0;
  char *end;
  *value = strtod(digits, &end);
  return end == digits + text.len;
}

bool tp_config_text(tp_str config, const char *name, tp_str *value) {
  tp_str text;
  if (!member(config, name, &text) || text.len < 2 || text.ptr[0] != '"') return false;
  *value = str((const char *)text.ptr + 1, text.len - 2);
  return true;
}

bool tp_config_flag(tp_str config, const char *name, bool *value) {
  tp_str text;
  if (!member(config, name, &text)) return false;
  *value = tp_equal(text, "true");
  return *value || tp_equal(text, "false");
}

void exports_turnpike_policy_plugin_describe(exports_turnpike_policy_plugin_manifest_t *ret) {
  ret->name = tp_copy(tp_manifest.name);
  ret->version = tp_copy(tp_manifest.version);
  ret->summary = tp_copy(tp_manifest.summary);
  ret->config_schema = tp_copy(tp_manifest.config_schema);
}

bool exports_turnpike_policy_plugin_configure(guest_string_t *config, guest_string_t *err) {
  strcpy(refusal_words, "it refuses this configuration");
  if (tp_configure(*config)) return true;
  *err = tp_copy(refusal_words);
  return false;
}

/* Whether there is an answer; if not, `err` says why. The tags are the same for each decision. */
static bool ended(tp_outcome outcome, turnpike_policy_types_refusal_t *err) {
  if (outcome == TP_DECIDED) return true;
  if (outcome == TP_ABSTAINED) {
    err->tag = TURNPIKE_POLICY_TYPES_REFUSAL_ABSTAIN;
    return false;
  }
  err->tag = refusal_is_invalid ? TURNPIKE_POLICY_TYPES_REFUSAL_INVALID
                                : TURNPIKE_POLICY_TYPES_REFUSAL_INTERNAL;
  err->val.internal = tp_copy(refusal_words);
  return false;
}

#ifdef TURNPIKE_CLASSIFY
bool exports_turnpike_policy_classify_classify(
    tp_classification *ret, exports_turnpike_policy_classify_refusal_t *err) {
  memset(ret, 0, sizeof *ret);
  return ended(tp_classify(ret), err);
}
#endif

#ifdef TURNPIKE_ROUTE
bool exports_turnpike_policy_route_score(
    exports_turnpike_policy_route_classification_t *task,
    exports_turnpike_policy_route_figures_t *figures,
    exports_turnpike_policy_route_objective_t *objective, guest_list_f64_t *ret,
    exports_turnpike_policy_route_refusal_t *err) {
  ret->len = figures->quality.len;
  ret->ptr = tp_alloc(ret->len * sizeof(double));
  return ended(tp_route(task, figures, objective, ret->ptr, ret->len), err);
}
#endif

#ifdef TURNPIKE_REDACT
bool exports_turnpike_policy_redact_scan(
    exports_turnpike_policy_redact_place_t *place, guest_string_t *text, bool last,
    exports_turnpike_policy_redact_findings_t *ret,
    exports_turnpike_policy_redact_refusal_t *err) {
  memset(ret, 0, sizeof *ret);
  return ended(tp_redact(place, *text, last, ret), err);
}
#endif

#ifdef TURNPIKE_BILL
struct tp_lines {
  exports_turnpike_policy_bill_list_line_t list;
};

void tp_line(tp_lines *lines, tp_str item, uint32_t count, tp_pico price, const char *note) {
  if (lines->list.len >= LINES_MAX) __builtin_trap();
  exports_turnpike_policy_bill_line_t *line = &lines->list.ptr[lines->list.len++];
  line->item = str((const char *)item.ptr, item.len);
  line->count = count;
  line->unit_price = tp_usd_print(price);
  line->amount = tp_usd_print(price * count);
  line->note = tp_copy(note);
}

bool exports_turnpike_policy_bill_price(
    exports_turnpike_policy_bill_call_t *call,
    exports_turnpike_policy_bill_list_line_t *ret,
    exports_turnpike_policy_bill_refusal_t *err) {
  tp_lines lines;
  lines.list.len = 0;
  lines.list.ptr = tp_alloc(LINES_MAX * sizeof *lines.list.ptr);
  tp_outcome outcome = tp_bill(call, &lines);
  *ret = lines.list;
  return ended(outcome, err);
}
#endif
