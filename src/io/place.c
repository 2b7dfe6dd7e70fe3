#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "io/loop.h"

static const char *parse_port(uint16_t *out, const char *text, bool allow_zero)
{
    unsigned long port = 0;

    if (!*text)
        return "the port is missing";
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return "the port is not a number";
        port = 10 * port + (unsigned long)(*p - '0');
        if (port > 65535)
            return "the port is over 65535";
    }
    if (port == 0 && !allow_zero)
        return "port 0 is nobody's";
    *out = (uint16_t)port;
    return NULL;
}

static const char *copy_host(struct io_place *out, const char *host, size_t n)
{
    if (n >= sizeof out->host)
        return "the host name is too long";
    memcpy(out->host, host, n);
    out->host[n] = '\0';
    return NULL;
}

static const char *parse_bracketed(struct io_place *out, const char *text, bool need_host)
{
    const char *end = strchr(text, ']');
    struct in6_addr address;
    const char *wrong;

    if (!end || end[1] != ':')
        return "after [ come an IPv6 address, ], : and a port";
    wrong = copy_host(out, text + 1, (size_t)(end - text - 1));
    if (wrong)
        return wrong;
    /* A zone (fe80::1%eth0) is for getaddrinfo to judge. */
    if (!strchr(out->host, '%') && uv_inet_pton(AF_INET6, out->host, &address))
        return "what stands in brackets is no IPv6 address";
    return parse_port(&out->port, end + 2, !need_host);
}

const char *io_place_parse(struct io_place *out, const char *text, bool need_host)
{
    const char *colon = strchr(text, ':');
    const char *wrong;

    *out = (struct io_place){0};
    if (*text == '[')
        return parse_bracketed(out, text, need_host);
    if (colon && strchr(colon + 1, ':'))
        return "an IPv6 address goes in brackets: [::1]:4000";
    if (need_host && (!colon || colon == text))
        return colon ? "the host is missing" : "the port is missing";
    if (colon) {
        wrong = copy_host(out, text, (size_t)(colon - text));
        if (wrong)
            return wrong;
    }
    return parse_port(&out->port, colon ? colon + 1 : text, !need_host);
}

const char *io_place_parse_target(struct io_place *out, const char *text)
{
    static const char scheme[] = "unix:";
    bool named = strncmp(text, scheme, sizeof scheme - 1) == 0;

    if (!named && *text != '/')
        return io_place_parse(out, text, true);
    *out = (struct io_place){.local = true};
    if (named)
        text += sizeof scheme - 1;
    if (!*text)
        return "the socket's path is missing";
    if (strlen(text) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return "the socket's path is too long";
    return copy_host(out, text, strlen(text));
}

void io_place_format(const struct io_place *place, char *out, size_t cap)
{
    bool brackets = strchr(place->host, ':') != NULL;

    if (place->local) {
        snprintf(out, cap, "%s", place->host);
        return;
    }
    snprintf(out, cap, "%s%s%s:%u", brackets ? "[" : "", place->host, brackets ? "]" : "",
             place->port);
}

struct addrinfo lookup_hints(enum io_family family, int flags)
{
    static const int numbers[] = {
        [IO_FAMILY_ANY] = AF_UNSPEC,
        [IO_FAMILY_4] = AF_INET,
        [IO_FAMILY_6] = AF_INET6,
    };

    return (struct addrinfo){
        .ai_family = numbers[family],
        .ai_socktype = SOCK_STREAM,
        .ai_protocol = IPPROTO_TCP,
        .ai_flags = flags | AI_NUMERICSERV,
    };
}

void address_format(const struct sockaddr *address, char *out, size_t cap)
{
    struct io_place place = {0};

    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof in6);
        place.port = ntohs(in6.sin6_port);
        /* A dual socket shows IPv4 stations in IPv6 clothes. */
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
            uv_inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, place.host, sizeof place.host);
        else
            uv_ip6_name(&in6, place.host, sizeof place.host);
    } else {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof in);
        place.port = ntohs(in.sin_port);
        uv_ip4_name(&in, place.host, sizeof place.host);
    }
    io_place_format(&place, out, cap);
}

static bool suits(const uv_interface_address_t *a, enum io_family family)
{
    if (a->is_internal)
        return false;
    if (a->address.address4.sin_family == AF_INET)
        return family != IO_FAMILY_6;
    /*
     * Link-local addresses mean nothing without an interface, which the other side does not know.
     */
    return family == IO_FAMILY_6 && !IN6_IS_ADDR_LINKLOCAL(&a->address.address6.sin6_addr);
}

void io_own_address(enum io_family family, char out[IO_HOST_SIZE])
{
    uv_interface_address_t *all;
    int count;

    snprintf(out, IO_HOST_SIZE, "localhost");
    if (uv_interface_addresses(&all, &count))
        return;
    for (int i = 0; i < count; i++) {
        if (!suits(&all[i], family))
            continue;
        if (all[i].address.address4.sin_family == AF_INET)
            uv_ip4_name(&all[i].address.address4, out, IO_HOST_SIZE);
        else
            uv_ip6_name(&all[i].address.address6, out, IO_HOST_SIZE);
        break;
    }
    uv_free_interface_addresses(all, count);
}

/* ------------------------------------------------------------------------------------ faults -- */

static const char *const fault_texts[IO_FAULT_COUNT] = {
    [IO_FAULT_NONE] = "no error",
    [IO_FAULT_NO_HOST] = "no such host",
    [IO_FAULT_NO_SOCKET] = "no such socket",
    [IO_FAULT_REFUSED] = "connection refused",
    [IO_FAULT_TIMED_OUT] = "timed out",
    [IO_FAULT_UNREACHABLE] = "unreachable",
    [IO_FAULT_IN_USE] = "port already in use",
    [IO_FAULT_NOT_HERE] = "this machine has no such address",
    [IO_FAULT_NOT_ALLOWED] = "not allowed",
    [IO_FAULT_SYSTEM] = "the operating system refused",
};

static const struct {
    int uv;
    enum io_fault fault;
} fault_codes[] = {
    {0, IO_FAULT_NONE},
    {UV_EAI_NONAME, IO_FAULT_NO_HOST},
    {UV_EAI_NODATA, IO_FAULT_NO_HOST},
    {UV_EAI_ADDRFAMILY, IO_FAULT_NO_HOST},
    {UV_EAI_FAIL, IO_FAULT_NO_HOST},
    {UV_EAI_AGAIN, IO_FAULT_NO_HOST},
    {UV_EINVAL, IO_FAULT_NO_HOST}, /* a name that no resolver takes */
    {UV_ECONNREFUSED, IO_FAULT_REFUSED},
    {UV_ECONNRESET, IO_FAULT_REFUSED},
    {UV_ETIMEDOUT, IO_FAULT_TIMED_OUT},
    {UV_ENETUNREACH, IO_FAULT_UNREACHABLE},
    {UV_EHOSTUNREACH, IO_FAULT_UNREACHABLE},
    {UV_EAFNOSUPPORT, IO_FAULT_UNREACHABLE},
    {UV_EADDRINUSE, IO_FAULT_IN_USE},
    {UV_EACCES, IO_FAULT_NOT_ALLOWED},
    {UV_EPERM, IO_FAULT_NOT_ALLOWED},
    {UV_EADDRNOTAVAIL, IO_FAULT_NOT_HERE},
};

enum io_fault fault_of(int uv_error)
{
    for (size_t i = 0; i < sizeof fault_codes / sizeof *fault_codes; i++)
        if (fault_codes[i].uv == uv_error)
            return fault_codes[i].fault;
    return IO_FAULT_SYSTEM;
}

const char *io_fault_text(enum io_fault fault)
{
    return (unsigned)fault < IO_FAULT_COUNT ? fault_texts[fault] : "unknown fault";
}

void report_add(struct io_report *report, const char *where, enum io_fault fault)
{
    size_t n = strlen(report->detail);

    snprintf(report->detail + n, sizeof report->detail - n, "%s%s %s", n > 0 ? ", " : "", where,
             io_fault_text(fault));
    /* An answer, even "refused", tells more than none; io_fault is in that order. */
    if (report->fault == IO_FAULT_NONE || fault < report->fault)
        report->fault = fault;
}
