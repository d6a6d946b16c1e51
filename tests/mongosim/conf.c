/* SPDX-License-Identifier: Apache-2.0 */
/* mongod.conf, flattened to "section.key" (conf.h). YAML by libyaml; lists are joined by commas. */
#include "tests/mongosim/conf.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 6

/* Keys of mongod 4.2 to 8.0 that an agent may write; a name that ends with '.' stands for all
 * below it. */
static const char *const known[] = {
    "net.port",
    "net.bindIp",
    "net.bindIpAll",
    "net.ipv6",
    "net.maxIncomingConnections",
    "net.unixDomainSocket.",
    "net.tls.",
    "net.compression.",
    "storage.dbPath",
    "storage.engine",
    "storage.directoryPerDB",
    "storage.syncPeriodSecs",
    "storage.journal.",
    "storage.wiredTiger.",
    "storage.oplogMinRetentionHours",
    "replication.replSetName",
    "replication.oplogSizeMB",
    "replication.enableMajorityReadConcern",
    "security.authorization",
    "security.keyFile",
    "security.clusterAuthMode",
    "security.javascriptEnabled",
    "security.clusterIpSourceAllowlist",
    "systemLog.",
    "processManagement.",
    "operationProfiling.",
    "setParameter.",
};

static const struct {
    const char *option, *key;
} options[] = {
    {"port", "net.port"},
    {"bind_ip", "net.bindIp"},
    {"dbpath", "storage.dbPath"},
    {"replSet", "replication.replSetName"},
    {"oplogSize", "replication.oplogSizeMB"},
    {"keyFile", "security.keyFile"},
    {"clusterAuthMode", "security.clusterAuthMode"},
    {"tlsMode", "net.tls.mode"},
    {"tlsCertificateKeyFile", "net.tls.certificateKeyFile"},
    {"tlsCAFile", "net.tls.CAFile"},
    {"tlsClusterFile", "net.tls.clusterFile"},
    {"pidfilepath", "processManagement.pidFilePath"},
    {"logpath", "systemLog.path"},
    {"wiredTigerCacheSizeGB", "storage.wiredTiger.engineConfig.cacheSizeGB"},
};

const char *conf_option_key(const char *option)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(options[i].option, option) == 0) {
            return options[i].key;
        }
    }
    return NULL;
}

static bool is_known(const char *key)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t len = strlen(known[i]);
        if (known[i][len - 1] == '.' ? strncmp(key, known[i], len) == 0
                                     : strcmp(key, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

const char *conf_get(const struct conf *conf, const char *key)
{
    for (int i = 0; i < conf->count; i++) {
        if (strcmp(conf->settings[i].key, key) == 0) {
            return conf->settings[i].value;
        }
    }
    return NULL;
}

bool conf_set(struct conf *conf, const char *key, const char *value)
{
    struct conf_setting *setting = NULL;
    for (int i = 0; i < conf->count; i++) {
        if (strcmp(conf->settings[i].key, key) == 0) {
            setting = &conf->settings[i];
        }
    }
    if (setting == NULL) {
        if (!is_known(key) || conf->count == CONF_SETTINGS_MAX) {
            return false;
        }
        setting = &conf->settings[conf->count++];
    }
    snprintf(setting->key, sizeof setting->key, "%s", key);
    snprintf(setting->value, sizeof setting->value, "%s", value);
    return true;
}

struct walk {
    struct conf *conf;
    char *why;
    char path[DEPTH_MAX][64];
    int depth; /* of maps */
    int lists; /* open ones */
    bool is_value, is_bad;
};

static void scalar(struct walk *walk, const char *text)
{
    if (!walk->is_value && walk->lists == 0) {
        snprintf(walk->path[walk->depth - 1], sizeof walk->path[0], "%s", text);
        walk->is_value = true;
        return;
    }
    char key[DEPTH_MAX * 64] = "", value[CONF_TEXT_MAX + 1];
    for (int i = 0; i < walk->depth; i++) {
        size_t len = strlen(key);
        snprintf(key + len, sizeof key - len, "%s%s", i > 0 ? "." : "", walk->path[i]);
    }
    const char *before = walk->lists > 0 ? conf_get(walk->conf, key) : NULL;
    snprintf(value, sizeof value, "%s%s%s", before != NULL ? before : "", before != NULL ? "," : "",
             text);
    if (!conf_set(walk->conf, key, value)) {
        snprintf(walk->why, 256, "unrecognized option: %.200s", key);
        walk->is_bad = true;
    }
    walk->is_value = walk->lists > 0;
}

static void event(struct walk *walk, const yaml_event_t *e)
{
    switch ((int)e->type) {
    case YAML_MAPPING_START_EVENT:
        if (walk->depth == DEPTH_MAX || walk->lists > 0) {
            snprintf(walk->why, 256, "maps are too deep, or in a list");
            walk->is_bad = true;
            return;
        }
        walk->depth += 1;
        walk->is_value = false;
        return;
    case YAML_MAPPING_END_EVENT:
        walk->depth -= 1;
        walk->is_value = false;
        return;
    case YAML_SEQUENCE_START_EVENT:
        walk->lists += 1;
        return;
    case YAML_SEQUENCE_END_EVENT:
        walk->lists -= 1;
        walk->is_value = false;
        return;
    case YAML_SCALAR_EVENT:
        if (walk->depth > 0) {
            scalar(walk, (const char *)e->data.scalar.value);
        }
        return;
    default:
        return;
    }
}

bool conf_read(struct conf *conf, const char *path, char *ret_why)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        snprintf(ret_why, 256, "cannot open config file %.200s", path);
        return false;
    }
    struct walk walk = {.conf = conf, .why = ret_why};
    yaml_parser_t parser;
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_file(&parser, file);
    for (bool is_end = false; !is_end && !walk.is_bad;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&parser, &e)) {
            snprintf(ret_why, 256, "line %zu: %.200s", parser.problem_mark.line + 1,
                     parser.problem != NULL ? parser.problem : "not YAML");
            walk.is_bad = true;
            break;
        }
        is_end = e.type == YAML_STREAM_END_EVENT;
        event(&walk, &e);
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&parser);
    (void)fclose(file);
    return !walk.is_bad;
}
