/* A bill policy: official prices less a discount in percent, which the configuration gives. */
#include "turnpike.h"

const tp_manifest_t tp_manifest = {
    .name = "policy-name",
    .version = "0.1.0",
    .summary = "official prices less a discount",
    .config_schema =
        "{\"type\":\"object\",\"required\":[\"discount_percent\"],\"additionalProperties\":false,"
        "\"properties\":{\"discount_percent\":{\"type\":\"integer\",\"minimum\":0,"
        "\"maximum\":100}}}",
};

/* Set by tp_configure, once in each fresh instance. */
static unsigned discount_percent = 0;

bool tp_configure(tp_str config) {
  double percent;
  if (!tp_config_number(config, "discount_percent", &percent) || percent < 0 || percent > 100) {
    tp_invalid("discount_percent is a number from 0 to 100");
    return false;
  }
  discount_percent = (unsigned)percent;
  return true;
}

tp_outcome tp_bill(const tp_call *call, tp_lines *lines) {
  for (size_t at = 0; at < call->quantities.len; at++) {
    const tp_quantity *it = &call->quantities.ptr[at];
    tp_pico price;
    if (!tp_usd_parse(it->unit_price, &price)) return tp_invalid("a price is no amount");
    /* A fraction of the smallest unit is the customer's. */
    tp_line(lines, it->item, it->count, price * (100 - discount_percent) / 100, "");
  }
  return TP_DECIDED;
}
