/* Moves the clock that counts from the start of the machine (CLOCK_BOOTTIME) by the seconds in FAKETIME_TIMESTAMP_FILE, and the wall
 * clock too where MOVE_WALL_CLOCK is set. libfaketime moves what is asked by way of libc; Cloakroom asks for its boot clock in the kernel's
 * own page (vDSO), so the question is answered there. Redis does not start with libfaketime, because jemalloc asks for the time too. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *file;
static int wall;

static long offset(void) {
  char text[32] = {0};
  int from = open(file, O_RDONLY | O_CLOEXEC);
  if (from < 0) return 0;
  ssize_t length = read(from, text, sizeof text - 1);
  close(from);
  return length > 0 ? strtol(text, NULL, 10) : 0;
}

static long ask(long number, long first, void *second) {
  long answer;
  __asm__ volatile("syscall" : "=a"(answer) : "a"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
  return answer;
}

static int clock_moved(clockid_t clock, struct timespec *time) {
  long answer = ask(SYS_clock_gettime, clock, time);
  int is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (answer == 0 && (clock == CLOCK_BOOTTIME || (wall && is_wall))) time->tv_sec += offset();
  return answer;
}

static int day_moved(struct timeval *time, void *zone) {
  long answer = ask(SYS_gettimeofday, (long)time, zone);
  if (answer == 0 && time) time->tv_sec += offset();
  return answer;
}

static time_t time_moved(time_t *to) {
  struct timeval now;
  day_moved(&now, NULL);
  return to ? (*to = now.tv_sec) : now.tv_sec;
}

static void lead(char *code, void *to) {
  /* movabs rax, to; jmp rax */
  unsigned char jump[12] = {0x48, 0xb8, [10] = 0xff, 0xe0};
  memcpy(jump + 2, &to, sizeof to);
  long page = sysconf(_SC_PAGESIZE);
  char *from = (char *)((unsigned long)code & -page);
  if (mprotect(from, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC)) abort();
  memcpy(code, jump, sizeof jump);
  mprotect(from, 2 * page, PROT_READ | PROT_EXEC);
}

__attribute__((constructor)) static void begin(void) {
  file = getenv("FAKETIME_TIMESTAMP_FILE");
  /* Redis writes its title over its environment. */
  if (file) file = strdup(file);
  wall = getenv("MOVE_WALL_CLOCK") != NULL;
  int found = 0;
  char *base = (char *)getauxval(AT_SYSINFO_EHDR), *load = base, *names = NULL;
  if (!file || !base) abort();
  Elf64_Phdr *parts = (Elf64_Phdr *)(base + ((Elf64_Ehdr *)base)->e_phoff);
  Elf64_Dyn *dynamic = NULL;
  Elf64_Sym *symbols = NULL;
  for (int at = 0; at < ((Elf64_Ehdr *)base)->e_phnum; at++) {
    if (parts[at].p_type == PT_DYNAMIC) dynamic = (Elf64_Dyn *)(base + parts[at].p_offset);
    if (parts[at].p_type == PT_LOAD) load = base + parts[at].p_offset - parts[at].p_vaddr;
  }
  for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
    if (dynamic->d_tag == DT_STRTAB) names = load + dynamic->d_un.d_ptr;
    if (dynamic->d_tag == DT_SYMTAB) symbols = (Elf64_Sym *)(load + dynamic->d_un.d_ptr);
  }
  for (Elf64_Sym *one = symbols; symbols && (char *)(one + 1) <= names; one++) {
    const char *name = names + one->st_name;
    char *code = load + one->st_value;
    if (!strcmp(name, "__vdso_clock_gettime")) lead(code, clock_moved), found = 1;
    if (wall && !strcmp(name, "__vdso_gettimeofday")) lead(code, day_moved);
    if (wall && !strcmp(name, "__vdso_time")) lead(code, time_moved);
  }
  if (!found) abort();
}
