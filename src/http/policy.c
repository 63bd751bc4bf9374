#include "http/policy.h"
