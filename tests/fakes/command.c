/* What every stand-in of a node on fakes is: it lets the server of command.py do its part, because
 * starting Python for each of the 150 commands of a run would take most of the run's time.
 * The answer is an exit status, one byte, or the words of a command to become, each ended by NUL.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_un server = {AF_UNIX, "/run/fakes.socket"};
    char answer[65536], *words[1024], *next = answer;
    int count = 0, line = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ssize_t length = -1;

    if (connect(line, (struct sockaddr *)&server, sizeof server) == 0)
        length = read(line, answer, sizeof answer);
    if (length == 1)
        return (unsigned char)answer[0];
    while (next < answer + length && count < 1023) {
        words[count++] = next;
        next += strlen(next) + 1;
    }
    words[count] = NULL;
    if (count)
        execvp(words[0], words);
    perror(argv[0]);
    return 1;
}
