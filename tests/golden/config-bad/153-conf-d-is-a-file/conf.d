ksm: { };
