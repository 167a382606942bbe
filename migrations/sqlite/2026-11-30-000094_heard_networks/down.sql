DROP TABLE heard_networks;
