/* SPDX-License-Identifier: BSD-3-Clause */
#include "builtin.h"

#include <stdio.h>
#include <stdlib.h>

struct class
{
	const char *name, *words;
	unsigned priority;
};

/* The names that `classtype` knows by convention; 1 is the gravest. */
static const struct class classes[] = {
	{"attempted-admin", "Attempted Administrator Privilege Gain", 1},
	{"attempted-dos", "Attempted Denial of Service", 2},
	{"attempted-recon", "Attempted Information Leak", 2},
	{"attempted-user", "Attempted User Privilege Gain", 1},
	{"bad-unknown", "Potentially Bad Traffic", 2},
	{"coin-mining", "Crypto Currency Mining Activity Detected", 2},
	{"command-and-control", "Malware Command and Control Activity Detected", 1},
	{"credential-theft", "Successful Credential Theft Detected", 1},
	{"default-login-attempt", "Attempt to login by a default username and password", 2},
	{"denial-of-service", "Detection of a Denial of Service Attack", 2},
	{"domain-c2", "Domain Observed Used for C2 Detected", 1},
	{"exploit-kit", "Exploit Kit Activity Detected", 1},
	{"external-ip-check", "Device Retrieving External IP Address Detected", 2},
	{"icmp-event", "Generic ICMP event", 3},
	{"inappropriate-content", "Inappropriate Content was Detected", 1},
	{"misc-activity", "Misc activity", 3},
	{"misc-attack", "Misc Attack", 2},
	{"network-scan", "Detection of a Network Scan", 3},
	{"non-standard-protocol", "Detection of a non-standard protocol or event", 2},
	{"not-suspicious", "Not Suspicious Traffic", 3},
	{"policy-violation", "Potential Corporate Privacy Violation", 1},
	{"protocol-command-decode", "Generic Protocol Command Decode", 3},
	{"pup-activity", "Possibly Unwanted Program Detected", 2},
	{"rpc-portmap-decode", "Decode of an RPC Query", 2},
	{"shellcode-detect", "Executable code was detected", 1},
	{"social-engineering", "Possible Social Engineering Attempted", 2},
	{"string-detect", "A suspicious string was detected", 3},
	{"successful-admin", "Successful Administrator Privilege Gain", 1},
	{"successful-dos", "Denial of Service", 2},
	{"successful-recon-largescale", "Large Scale Information Leak", 2},
	{"successful-recon-limited", "Information Leak", 2},
	{"successful-user", "Successful User Privilege Gain", 1},
	{"suspicious-filename-detect", "A suspicious filename was detected", 2},
	{"suspicious-login", "An attempted login using a suspicious username was detected", 2},
	{"system-call-detect", "A system call was detected", 2},
	{"targeted-activity", "Targeted Malicious Activity was Detected", 1},
	{"tcp-connection", "A TCP connection was detected", 4},
	{"trojan-activity", "A Network Trojan was detected", 1},
	{"unknown", "Unknown Traffic", 3},
	{"unsuccessful-user", "Unsuccessful User Privilege Gain", 1},
	{"unusual-client-port-connection", "A client was using an unusual port", 2},
	{"web-application-activity", "access to a potentially vulnerable web application", 2},
	{"web-application-attack", "Web Application Attack", 1},
};

struct reference {
	const char *kind, *prefix;
};

static const struct reference references[] = {
	{"arachnids", "https://www.whitehats.com/info/IDS"},
	{"bid", "https://www.securityfocus.com/bid/"},
	{"bugtraq", "https://www.securityfocus.com/bid/"},
	{"cve", "https://cve.mitre.org/cgi-bin/cvename.cgi?name="},
	{"et", "https://doc.emergingthreats.net/"},
	{"etpro", "https://doc.emergingthreatspro.com/"},
	{"exploitdb", "https://www.exploit-db.com/exploits/"},
	{"mcafee", "https://vil.nai.com/vil/content/v_"},
	{"md5", "https://www.threatexpert.com/report.aspx?md5="},
	{"msft", "https://technet.microsoft.com/security/bulletin/"},
	{"nessus", "https://www.tenable.com/plugins/nessus/"},
	{"openpacket", "https://www.openpacket.org/capture/grab/"},
	{"osvdb", "http://osvdb.org/show/osvdb/"},
	{"secunia", "https://www.secunia.com/advisories/"},
	{"securitytracker", "http://securitytracker.com/id?"},
	{"telus", "https://"},
	{"threatexpert", "http://www.threatexpert.com/report.aspx?md5="},
	{"url", "https://"},
	{"xforce", "http://xforce.iss.net/xforce/xfdb/"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

char *builtin_classifications(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	for (size_t i = 0; i < COUNT(classes); i++)
		fprintf(out, "config classification: %s,%s,%u\n", classes[i].name, classes[i].words,
			classes[i].priority);
	fclose(out);
	return text;
}

char *builtin_references(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	for (size_t i = 0; i < COUNT(references); i++)
		fprintf(out, "config reference: %s %s\n", references[i].kind, references[i].prefix);
	fclose(out);
	return text;
}
