#!/bin/sh
# Prints the number of lines of each file: a stdio worker for msup.
#
#     msup -k --worker-stdio ./count.sh ::: logs/*
#
# What wc and the shell say about a file goes to standard error, which belongs to the running task.

while IFS= read -r path; do
    if lines=$(wc -l <"$path"); then
        printf '{"ok":true,"stdout":"%d\\n"}\n' "$lines"
    else
        printf '{"error":"cannot be read"}\n'
    fi
done
