/* Volume discount and a free allowance: each request's first tokens up to an allowance are free, and
 * from a number of tokens on all of them are cheaper. Everything is per request, because a policy
 * keeps nothing between two; amounts are exact, and a fraction of the smallest unit is the
 * customer's. */
#include "turnpike.h"

const tp_manifest_t tp_manifest = {
    .name = "example-bill-volume",
    .version = "0.1.0",
    .summary = "a free allowance, and a discount on large requests",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"free_tokens\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295},"
        "\"volume_tokens\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295},"
        "\"discount_percent\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":100}}}",
};

static uint32_t free_tokens = 0;
static uint32_t volume_tokens = UINT32_MAX;
static uint32_t discount_percent = 0;

static bool setting(tp_str config, const char *name, double most, uint32_t *value) {
  double number;
  if (!tp_config_number(config, name, &number)) return true;
  if (number < 0 || number > most) {
    tp_invalid("a setting is out of its range");
    return false;
  }
  *value = (uint32_t)number;
  return true;
}

bool tp_configure(tp_str config) {
  return setting(config, "free_tokens", UINT32_MAX, &free_tokens) &&
         setting(config, "volume_tokens", UINT32_MAX, &volume_tokens) &&
         setting(config, "discount_percent", 100, &discount_percent);
}

/* What is counted in tokens; images, seconds and searches are not. */
static bool is_tokens(tp_str item) {
  return tp_equal(item, "input") || tp_equal(item, "output") || tp_equal(item, "reasoning") ||
         tp_equal(item, "cache-read") || tp_equal(item, "cache-write-short") ||
         tp_equal(item, "cache-write-long");
}

tp_outcome tp_bill(const tp_call *call, tp_lines *lines) {
  uint64_t tokens = 0;
  for (size_t at = 0; at < call->quantities.len; at++) {
    const tp_quantity *it = &call->quantities.ptr[at];
    if (is_tokens(it->item)) tokens += it->count;
  }
  bool cheaper = tokens >= volume_tokens;
  uint32_t left = free_tokens;
  for (size_t at = 0; at < call->quantities.len; at++) {
    const tp_quantity *it = &call->quantities.ptr[at];
    tp_pico price;
    if (!tp_usd_parse(it->unit_price, &price)) return tp_invalid("a price is no amount");
    uint32_t charged = it->count;
    if (is_tokens(it->item)) {
      uint32_t given = charged < left ? charged : left;
      left -= given;
      charged -= given;
      if (given > 0) tp_line(lines, it->item, given, 0, "free allowance");
      if (cheaper) price = price * (100 - discount_percent) / 100;
    }
    if (charged > 0) tp_line(lines, it->item, charged, price, cheaper ? "volume discount" : "");
  }
  return TP_DECIDED;
}
