#!/usr/bin/env perl
# Counts the lines of each file: a stdio worker for msup.
#
#     msup --worker-stdio ./count.pl ::: logs/*
#     find logs -type f -print0 | msup -0 --worker-stdio ./count.pl -0

use strict;
use warnings;
use JSON::PP;

$| = 1;    # each answer is written at once
my $json = JSON::PP->new->ascii;
my $end = @ARGV && $ARGV[0] eq "-0" ? "\0" : "\n";
while (defined(my $path = do { local $/ = $end; <STDIN> })) {
    $path =~ s/\Q$end\E\z//;
    my ($lines, $shown, $answer) = (0, $path);
    utf8::decode($shown);
    if (open my $file, "<", $path) {
        $lines++ while <$file>;
        $answer = { ok => JSON::PP::true, stdout => "$lines $shown\n" };
    } else {
        $answer = { error => "$shown: $!" };
    }
    print $json->encode($answer), "\n";
}
