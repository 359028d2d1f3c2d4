/* The SDK of policies in C. A policy defines `tp_manifest` and, for each decision of its
 * policy.toml, one function below; turnpike.c puts them behind the contract's exports. Memory is
 * never freed: an instance lives for one request. */
#ifndef TURNPIKE_H
#define TURNPIKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest.h"

/* Bytes and their number; not ended by a zero. */
typedef guest_string_t tp_str;

/* A piece of text that is written in the source. */
#define TP(literal) ((tp_str){(uint8_t *)(literal), sizeof(literal) - 1})

typedef struct {
  const char *name, *version, *summary;
  const char *config_schema; /* JSON Schema, or "" */
} tp_manifest_t;

/* What a decision answers. */
typedef enum {
  TP_DECIDED,
  TP_ABSTAINED, /* the built-in decides; not a failure */
  TP_REFUSED,   /* after tp_invalid or tp_internal */
} tp_outcome;

extern const tp_manifest_t tp_manifest;

/* Takes the configuration, JSON that fits the schema; on false the words of tp_invalid are shown
 * to whoever binds the policy. Called only where there is a configuration. */
bool tp_configure(tp_str config);

/* Logs the words and keeps them for the refusal: the request or the configuration is at fault, or
 * the policy is. */
tp_outcome tp_invalid(const char *why);
tp_outcome tp_internal(const char *why);

/* A line in the policy's log; `format` takes %s and %d as printf does, nothing else. */
void tp_log(turnpike_policy_log_level_t level, const char *format, ...);

/* Memory, or a trap when there is none. */
void *tp_alloc(size_t bytes);
tp_str tp_copy(const char *text);
bool tp_equal(tp_str text, const char *other);
bool tp_contains(tp_str text, const char *part);

/* Exact US dollars in units of 10^-12. Never a float. */
typedef unsigned __int128 tp_pico;
bool tp_usd_parse(tp_str text, tp_pico *amount);
tp_str tp_usd_print(tp_pico amount);

/* A member of the configuration's object, as long as it is a number, a text or a flag; false when
 * it is not there. Nested objects are skipped. */
bool tp_config_number(tp_str config, const char *name, double *value);
bool tp_config_text(tp_str config, const char *name, tp_str *value);
bool tp_config_flag(tp_str config, const char *name, bool *value);

#ifdef TURNPIKE_CLASSIFY
typedef exports_turnpike_policy_classify_classification_t tp_classification;
tp_outcome tp_classify(tp_classification *answer);
#endif

#ifdef TURNPIKE_ROUTE
typedef exports_turnpike_policy_route_classification_t tp_task;
typedef exports_turnpike_policy_route_figures_t tp_figures;
typedef exports_turnpike_policy_route_objective_t tp_objective;
/* `scores` has room for one score a row; higher is better, negative excludes. */
tp_outcome tp_route(const tp_task *task, const tp_figures *figures,
                    const tp_objective *objective, double *scores, size_t rows);
#endif

#ifdef TURNPIKE_REDACT
typedef exports_turnpike_policy_redact_place_t tp_place;
typedef exports_turnpike_policy_redact_findings_t tp_findings;
tp_outcome tp_redact(const tp_place *place, tp_str text, bool last, tp_findings *answer);
#endif

#ifdef TURNPIKE_BILL
typedef exports_turnpike_policy_bill_call_t tp_call;
typedef exports_turnpike_policy_bill_quantity_t tp_quantity;
typedef struct tp_lines tp_lines;
tp_outcome tp_bill(const tp_call *call, tp_lines *lines);
/* Adds a line; its amount is count times price, exactly. */
void tp_line(tp_lines *lines, tp_str item, uint32_t count, tp_pico price, const char *note);
#endif

#endif
