/* SPDX-License-Identifier: BSD-3-Clause */
/* The words of notices: mails in UTF-8 whose bodies are base64, so that no line of an incident can be taken for SMTP or a header. */
#include "notify.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BODY_MAX     32768
#define HOSTS_MAX    20
#define SENTENCE_MAX 2000
/* Of an encoded word, RFC 2047: 75 characters with its frame of 12; so many bytes of text are at most 60 of base64. */
#define WORD_BYTES  45
#define BASE64_LINE 57 /* bytes a line of 76 characters, RFC 2045 */

struct text {
	char *at;
	size_t len, size;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(t->at + t->len, t->size - t->len, format, arguments);
	va_end(arguments);
	if (n > 0)
		t->len = t->len + (size_t)n < t->size ? t->len + (size_t)n : t->size - 1;
}

static const char *language(const struct contact *c)
{
	return c->japanese ? "ja" : "en";
}

static const char *string(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));
	return text ? text : "";
}

/* --- what is said --------------------------------------------------------------------------------------------------------- */

static const char *severity_word(const struct contact *c, enum severity severity)
{
	static const char *const ja[] = {"なし", "情報", "警告", "重大", "緊急"};
	static const char *const en[] = {"None", "Informational", "Warning", "Critical", "Emergency"};
	return c->japanese ? ja[severity] : en[severity];
}

static const char *reason_word(const struct contact *c, int reason)
{
	static const char *const ja[] = {"新規", "重要度の上昇", "終了", "未対応のため再通知"};
	static const char *const en[] = {"new", "more severe", "closed", "nobody has acknowledged it"};
	return c->japanese ? ja[reason] : en[reason];
}

static void add_time(struct text *t, const struct contact *c, int64_t us)
{
	time_t seconds = us / 1000000 + (time_t)c->zone * 60;
	struct tm tm;
	char text[32];
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	add(t, "%s %c%02d:%02d", text, c->zone < 0 ? '-' : '+', abs(c->zone) / 60, abs(c->zone) % 60);
}

static void add_lines(struct text *t, const char *title, const json_t *lines)
{
	size_t i;
	json_t *line;
	if (!json_array_size(lines))
		return;
	add(t, "\n%s\n", title);
	json_array_foreach(lines, i, line) if (json_is_string(line))
		add(t, "- %.*s\n", SENTENCE_MAX, json_string_value(line));
}

static void add_hosts(struct text *t, const struct contact *c, const json_t *incident)
{
	const json_t *hosts = json_object_get(incident, "hosts");
	size_t i;
	json_t *host;
	if (!json_array_size(hosts))
		return;
	add(t, "\n%s\n", c->japanese ? "関係するホスト" : "Hosts");
	json_array_foreach(hosts, i, host)
	{
		if (i == HOSTS_MAX) {
			add(t, c->japanese ? "- ほか %zu 台\n" : "- and %zu more\n", json_array_size(hosts) - i);
			break;
		}
		add(t, "- %s (%s)%s%s\n", string(host, "address"), string(host, "role"),
		    *string(host, "name") ? " " : "", string(host, "name"));
	}
}

static void say(struct text *t, const struct notice *n, const struct contact *c, const json_t *incident, int64_t now)
{
	bool ja = c->japanese;
	add(t, "%s\n\n", string(json_object_get(incident, "title"), language(c)));
	add(t,
	    ja ? "インシデント: %llu\n重要度: %s\n状態: %s (%s)\n" : "Incident: %llu\nSeverity: %s\nState: %s (%s)\n",
	    (unsigned long long)n->incident, severity_word(c, n->severity), string(incident, "state"),
	    reason_word(c, n->reason));
	add(t, ja ? "記録件数: %lld\n検知: " : "Records: %lld\nKnown to the SOC since: ",
	    (long long)json_integer_value(json_object_get(incident, "record_count")));
	add_time(t, c, n->clock);
	add(t, ja ? "\n通知: " : "\nTold: ");
	add_time(t, c, now);
	add(t, "\n");
	add_lines(t, ja ? "理由" : "Why", json_object_get(json_object_get(incident, "why"), language(c)));
	add_lines(t, ja ? "推奨する対応" : "What to do",
		  json_object_get(json_object_get(incident, "measures"), language(c)));
	add_hosts(t, c, incident);
}

/* --- as a mail ------------------------------------------------------------------------------------------------------------- */

/* A header's text in encoded words, cut between characters, folded. */
static void add_words(struct text *t, const char *text)
{
	size_t len = strlen(text);
	for (size_t at = 0; at < len;) {
		unsigned char base64[4 * ((WORD_BYTES + 2) / 3) + 1];
		size_t n = len - at < WORD_BYTES ? len - at : WORD_BYTES;
		while (n < len - at && n > 0 && ((unsigned char)text[at + n] & 0xc0) == 0x80)
			n--;
		if (n == 0) /* no UTF-8 */
			n = len - at < WORD_BYTES ? len - at : WORD_BYTES;
		EVP_EncodeBlock(base64, (const unsigned char *)text + at, (int)n);
		add(t, "%s=?UTF-8?B?%s?=", at ? "\r\n " : "", (const char *)base64);
		at += n;
	}
}

static void add_base64(struct text *t, const char *text, size_t len)
{
	unsigned char line[4 * ((BASE64_LINE + 2) / 3) + 1];
	for (size_t at = 0; at < len; at += BASE64_LINE) {
		size_t n = len - at < BASE64_LINE ? len - at : BASE64_LINE;
		EVP_EncodeBlock(line, (const unsigned char *)text + at, (int)n);
		add(t, "%s\r\n", (const char *)line);
	}
}

char *notify_mail(const struct notice *n, const struct contact *c, const json_t *incident, const char *from,
		  const char *soc, int64_t now)
{
	char body_text[BODY_MAX], subject[512], date[64];
	struct text body = {body_text, 0, sizeof(body_text)}, mail = {malloc(3 * BODY_MAX), 0, 3 * BODY_MAX};
	time_t seconds = now / 1000000;
	struct tm tm;
	if (!mail.at)
		return NULL;
	say(&body, n, c, incident, now);
	snprintf(subject, sizeof(subject), "[%s] %.400s (#%llu, %s)", severity_word(c, n->severity),
		 string(json_object_get(incident, "title"), language(c)), (unsigned long long)n->incident,
		 reason_word(c, n->reason));
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	add(&mail, "From: Sekisho SOC <%s>\r\nTo: <%s>\r\nDate: %s\r\nSubject: ", from, c->address, date);
	add_words(&mail, subject);
	/* all of one incident hang together; one notice is one message, however often it is sent */
	add(&mail, "\r\nMessage-ID: <notice.%llu@%s>\r\nReferences: <incident.%u.%llu@%s>\r\n",
	    (unsigned long long)n->id, soc, n->customer, (unsigned long long)n->incident, soc);
	add(&mail, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\n"
		   "Content-Transfer-Encoding: base64\r\n\r\n");
	add_base64(&mail, body_text, body.len);
	return mail.at;
}

/* --- for a webhook --------------------------------------------------------------------------------------------------------- */

char *notify_json(const struct notice *n, const struct contact *c, const json_t *incident, int64_t now)
{
	static const char *const members[] = {"title",	      "why",	    "measures", "state",
					      "record_count", "host_count", "first",	"last"};
	char clock[32], told[32];
	json_t *about = json_object();
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (json_object_get(incident, members[i]))
			json_object_set(about, members[i], json_object_get(incident, members[i]));
	json_t *hosts = json_array(), *host;
	size_t i;
	json_array_foreach(json_object_get(incident, "hosts"), i, host) if (i < HOSTS_MAX)
		json_array_append(hosts, host);
	json_object_set_new(about, "hosts", hosts);
	json_object_set_new(about, "id", json_integer((json_int_t)n->incident));
	json_t *json =
		json_pack("{s:i,s:I,s:s,s:s,s:s,s:s,s:s,s:o}", "v", 1, "notice", (json_int_t)n->id, "contact", c->name,
			  "reason", notice_reason_name(n->reason), "severity", severity_name(n->severity), "clock",
			  time_text(n->clock, clock), "told", time_text(now, told), "incident", about);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}
