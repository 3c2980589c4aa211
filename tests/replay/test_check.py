# SPDX-License-Identifier: BSD-3-Clause
"""`sekisho check`: every error with file, line, sid and option; exit 0 or 1. And configuration errors of all commands."""
import os

import harness

GOOD = 'alert http any any -> any any (msg:"g"; http.uri; content:"/x"; sid:1;)\n'


class Check(harness.Case):
    def check(self, rules=GOOD, config=harness.CONFIG, options=()):
        done = self.call("check", *options, "-c", self.file("sekisho.yaml", config), "-S", self.file("test.rules", rules))
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def test_good_rules(self):
        code, words = self.check()
        self.assertEqual(code, 0, words)
        self.assertRegex(words, r"\b1\b")

    def test_each_wrong_rule_is_named_and_the_others_load(self):
        wrong = {
            2: ('alert http any any -> any any (msg:"a"; content:"x"; no_such_keyword; sid:2;)', "no_such_keyword", 2),
            3: ('alert http any any -> any any (msg:"b"; pcre:"/(/"; sid:3;)', "pcre", 3),
            4: ('alert tcp any 99999 -> any any (msg:"c"; content:"x"; sid:4;)', "99999", 4),
            5: ('alert tcp 1.2.3.4.5 any -> any any (msg:"d"; content:"x"; sid:5;)', "1.2.3.4.5", 5),
            6: ('alert tcp any any -> any any (msg:"e"; content:"x"; depth:0x; sid:6;)', "depth", 6),
            7: ('alert tcp any any -> any any (msg:"f"; content:"x"; sid:7;', None, None),
            8: ('alert tcp any any -> any any (msg:"g"; content:"x"; flow:sideways; sid:8;)', "flow", 8),
            9: ('alert tcp $NO_SUCH_NET any -> any any (msg:"h"; content:"x"; sid:9;)', "NO_SUCH_NET", 9),
            10: ('shout tcp any any -> any any (msg:"i"; content:"x"; sid:10;)', "shout", None),
            11: ('alert tcp any any -> any any (msg:"j"; content:"x";)', "sid", None),
            12: ('alert tcp any any -> any any (msg:"k"; lua:x.lua; sid:12;)', "lua", 12),
        }
        code, words = self.check(GOOD + "\n".join(w[0] for w in wrong.values()) + "\n" + GOOD.replace("sid:1;", "sid:99;"))
        self.assertEqual(code, 1, words)
        for line, (_, option, sid) in wrong.items():
            with self.subTest(line):
                about = [w for w in words.splitlines() if "test.rules:%d:" % line in w]
                self.assertTrue(about, "line %d is not named in:\n%s" % (line, words))
                if option:
                    self.assertIn(option, "\n".join(about))
                if sid:
                    self.assertRegex("\n".join(about), r"\b%d\b" % sid)
        self.assertFalse([w for w in words.splitlines() if "test.rules:1:" in w or "test.rules:13:" in w], words)

    def test_a_wrong_rule_does_not_stop_a_replay(self):
        from traffic import attacks
        outcome = self.replay(attacks.build("log4shell"), rules='alert tcp any any -> any any (nonsense; sid:2;)\n'
                              'alert tcp any any -> any any (msg:"j"; content:"jndi"; sid:3;)\n')
        self.assertIn(3, outcome.alerts())
        self.assertIn("test.rules:1:", outcome.errors + outcome.words)

    def test_a_rule_that_waits_for_a_protocol_is_listed_and_no_error(self):
        code, words = self.check('alert smb any any -> any any (msg:"w"; content:"x"; sid:20;)\n', options=["--waiting"])
        self.assertEqual(code, 0, words)
        self.assertIn("20", words)
        self.assertIn("smb", words)

    def test_a_rule_over_several_lines(self):
        code, words = self.check('alert http any any -> any any (msg:"g"; \\\n  http.uri; content:"/x"; \\\n  sid:1;)\n' +
                                 'alert http any any -> any any (bad_one; sid:2;)\n')
        self.assertEqual(code, 1)
        self.assertIn("test.rules:4:", words)

    def test_the_configuration_is_checked_with_file_and_line(self):
        wrong = {
            "vars:\n  address-groups:\n    HOME_NET: \"any\"\nno-such-key: 1\n": 4,
            "vars:\n  address-groups:\n    HOME_NET: [1, 2\n": None,
            "stream:\n  midstream: perhaps\n": 2,
            "vars: 7\n": 1,
        }
        for config, line in wrong.items():
            with self.subTest(config):
                code, words = self.check(config=config)
                self.assertEqual(code, 1, words)
                self.assertRegex(words, r"sekisho\.yaml:%s" % (line or r"\d+"))

    def test_files_that_are_not_there_are_named(self):
        done = self.call("check", "-c", self.path("none.yaml"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"none.yaml", done.stderr + done.stdout)
        done = self.call("check", "-c", self.file("sekisho.yaml", harness.CONFIG), "-S", self.path("none.rules"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"none.rules", done.stderr + done.stdout)

    def test_replay_names_what_it_cannot_use(self):
        for arguments, name in ((["-c", "none.yaml"], b"none.yaml"), (["-c", "sekisho.yaml", "-S", "none.rules"], b"none.rules")):
            with self.subTest(name):
                self.file("sekisho.yaml", harness.CONFIG)
                os.makedirs(self.path("out"), exist_ok=True)
                done = self.call("replay", *arguments, "-l", "out", self.capture([]))
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(name, done.stderr + done.stdout)

    def test_unknown_words_on_the_command_line(self):
        for arguments in (["dance"], ["replay", "--no-such-option"], []):
            with self.subTest(arguments):
                done = self.call(*arguments)
                self.assertNotEqual(done.returncode, 0)
                self.assertTrue(done.stderr or done.stdout)

    def test_help(self):
        done = self.call("--help")
        self.assertEqual(done.returncode, 0)
        for command in (b"replay", b"check"):
            self.assertIn(command, done.stdout + done.stderr)

    def test_keywords_are_listed(self):
        done = self.call("check", "--list-keywords")
        self.assertEqual(done.returncode, 0)
        names = [line.split()[0] for line in done.stdout.splitlines()]
        for name in (b"content", b"pcre", b"flowbits", b"http.uri", b"dns.query", b"tls.sni"):
            self.assertIn(name, names)
