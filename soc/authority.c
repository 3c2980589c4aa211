/* SPDX-License-Identifier: BSD-3-Clause */
#include "authority.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_S	       86400l
#define SERIAL_BYTES   16
#define SLACK_S	       3600 /* a certificate is valid from so long ago: clocks differ */
#define NAMES_TEXT_MAX 2048

struct authority {
	X509 *certificate;
	EVP_PKEY *key;
	char pem[AUTHORITY_PEM_MAX];
};

static int failed(char *error, const char *what)
{
	unsigned long code = ERR_get_error();
	snprintf(error, AUTHORITY_ERROR_MAX, "%.160s: %.80s", what,
		 code && ERR_reason_error_string(code) ? ERR_reason_error_string(code) : "OpenSSL failed");
	ERR_clear_error();
	return -EIO;
}

/* --- making certificates ----------------------------------------------------------------------------------------------- */

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool ok = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return ok;
}

static bool set_serial(X509 *certificate)
{
	unsigned char bytes[SERIAL_BYTES];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] &= 0x7f; /* positive, RFC 5280 4.1.2.2 */
	BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return ok;
}

/* All but extensions and signature. */
static X509 *new_certificate(const char *name, unsigned days, EVP_PKEY *key, X509 *issuer)
{
	X509 *certificate = X509_new();
	if (!certificate)
		return NULL;
	X509_NAME *subject = X509_get_subject_name(certificate);
	if (X509_set_version(certificate, 2) && set_serial(certificate) &&
	    X509_gmtime_adj(X509_getm_notBefore(certificate), -SLACK_S) &&
	    X509_gmtime_adj(X509_getm_notAfter(certificate), DAY_S * (long)days) && X509_set_pubkey(certificate, key) &&
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) &&
	    X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : subject))
		return certificate;
	X509_free(certificate);
	return NULL;
}

/* What was written into a BIO of memory, as text; frees it. */
static bool take_pem(BIO *bio, bool written, char *pem)
{
	char *text;
	long len = bio && written ? BIO_get_mem_data(bio, &text) : 0;
	bool ok = len > 0 && len < AUTHORITY_PEM_MAX;
	if (ok) {
		memcpy(pem, text, (size_t)len);
		pem[len] = 0;
	}
	BIO_free(bio);
	return ok;
}

static bool put_certificate(X509 *certificate, char *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());
	return take_pem(bio, bio && PEM_write_bio_X509(bio, certificate), pem);
}

static bool put_key(EVP_PKEY *key, char *pem)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	return take_pem(bio, bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), pem);
}

static bool digest_of(X509 *certificate, char *text)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;
	if (!X509_digest(certificate, EVP_sha256(), digest, &len) || 2 * len >= AUTHORITY_DIGEST_MAX)
		return false;
	for (unsigned i = 0; i < len; i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
	return true;
}

/* A host name that is safe within OpenSSL's own little language of lists. */
static bool is_host_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*");
	return len > 0 && len < 254 && name[len] == 0;
}

static int list_names(const char *const *names, size_t count, char *text, char *error)
{
	unsigned char address[16];
	size_t len = 0;
	text[0] = 0;
	if (count > AUTHORITY_NAMES_MAX) {
		snprintf(error, AUTHORITY_ERROR_MAX, "a server may have %d names", AUTHORITY_NAMES_MAX);
		return -E2BIG;
	}
	for (size_t i = 0; i < count; i++) {
		bool ip = inet_pton(AF_INET, names[i], address) == 1 || inet_pton(AF_INET6, names[i], address) == 1;
		if (!ip && !is_host_name(names[i])) {
			snprintf(error, AUTHORITY_ERROR_MAX, "\"%.64s\" is no host name and no address", names[i]);
			return -EINVAL;
		}
		int n = snprintf(text + len, NAMES_TEXT_MAX - len, "%s%s:%s", i ? "," : "", ip ? "IP" : "DNS",
				 names[i]);
		if (n < 0 || (size_t)n >= NAMES_TEXT_MAX - len) {
			snprintf(error, AUTHORITY_ERROR_MAX, "the server's names are too long together");
			return -E2BIG;
		}
		len += (size_t)n;
	}
	return 0;
}

int authority_issue(const struct authority *a, enum certificate_use use, const char *name, const char *const *names,
		    size_t count, unsigned days, struct issued *issued, char error[static AUTHORITY_ERROR_MAX])
{
	char alternatives[NAMES_TEXT_MAX];
	int rc = list_names(names, count, alternatives, error);
	if (rc != 0)
		return rc;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = key ? new_certificate(name, days, key, a->certificate) : NULL;
	if (!certificate || !add_extension(certificate, a->certificate, NID_basic_constraints, "critical,CA:FALSE") ||
	    !add_extension(certificate, a->certificate, NID_key_usage, "critical,digitalSignature") ||
	    !add_extension(certificate, a->certificate, NID_ext_key_usage,
			   use == CERTIFICATE_SERVER ? "serverAuth" : "clientAuth") ||
	    !add_extension(certificate, a->certificate, NID_subject_key_identifier, "hash") ||
	    !add_extension(certificate, a->certificate, NID_authority_key_identifier, "keyid:always") ||
	    (alternatives[0] && !add_extension(certificate, a->certificate, NID_subject_alt_name, alternatives)) ||
	    !X509_sign(certificate, a->key, EVP_sha256()) || !put_certificate(certificate, issued->certificate) ||
	    !put_key(key, issued->key) || !digest_of(certificate, issued->fingerprint))
		rc = failed(error, "cannot issue a certificate");
	X509_free(certificate);
	EVP_PKEY_free(key);
	return rc;
}

void issued_wipe(struct issued *issued)
{
	OPENSSL_cleanse(issued, sizeof(*issued));
}

/* --- its own files ----------------------------------------------------------------------------------------------------- */

static int write_new(const char *folder, const char *name, const char *text, mode_t mode, char *error)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode), rc = 0;
	size_t len = strlen(text);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) != 0) {
		rc = errno ? -errno : -EIO;
		snprintf(error, AUTHORITY_ERROR_MAX, "cannot write %.180s: %s", path, strerror(-rc));
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

int authority_make(const char *folder, const char *name, unsigned days, char error[static AUTHORITY_ERROR_MAX])
{
	char key_pem[AUTHORITY_PEM_MAX], certificate_pem[AUTHORITY_PEM_MAX];
	int rc = 0;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = key ? new_certificate(name, days, key, NULL) : NULL;
	if (!certificate ||
	    !add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
	    !add_extension(certificate, certificate, NID_subject_key_identifier, "hash") ||
	    !X509_sign(certificate, key, EVP_sha256()) || !put_certificate(certificate, certificate_pem) ||
	    !put_key(key, key_pem))
		rc = failed(error, "cannot make the authority");
	if (rc == 0)
		rc = write_new(folder, "ca.key", key_pem, 0600, error);
	if (rc == 0)
		rc = write_new(folder, "ca.crt", certificate_pem, 0644, error);
	OPENSSL_cleanse(key_pem, sizeof(key_pem));
	X509_free(certificate);
	EVP_PKEY_free(key);
	return rc;
}

static BIO *open_file(const char *folder, const char *name, char *path)
{
	snprintf(path, PATH_MAX, "%s/%s", folder, name);
	return BIO_new_file(path, "r");
}

/* Never asks for a passphrase on a terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)user;
	return 0;
}

struct authority *authority_open(const char *folder, char error[static AUTHORITY_ERROR_MAX])
{
	char path[PATH_MAX], what[192];
	struct authority *a = calloc(1, sizeof(*a));
	if (!a) {
		snprintf(error, AUTHORITY_ERROR_MAX, "out of memory");
		return NULL;
	}
	BIO *file = open_file(folder, "ca.crt", path);
	a->certificate = file ? PEM_read_bio_X509(file, NULL, no_passphrase, NULL) : NULL;
	BIO_free(file);
	if (a->certificate && put_certificate(a->certificate, a->pem)) {
		file = open_file(folder, "ca.key", path);
		a->key = file ? PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL) : NULL;
		BIO_free(file);
	}
	if (a->key && X509_check_private_key(a->certificate, a->key) == 1)
		return a;
	snprintf(what, sizeof(what), "the authority's %.120s cannot be used", path);
	failed(error, what);
	authority_close(a);
	return NULL;
}

void authority_close(struct authority *a)
{
	if (!a)
		return;
	X509_free(a->certificate);
	EVP_PKEY_free(a->key);
	free(a);
}

const char *authority_certificate(const struct authority *a)
{
	return a->pem;
}

int certificate_days_left(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	int days = INT_MIN, seconds;
	if (certificate && !ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)))
		days = INT_MIN;
	X509_free(certificate);
	BIO_free(bio);
	ERR_clear_error();
	return days;
}
