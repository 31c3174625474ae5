/*!40101 SET NAMES binary*/;
CREATE TABLE `v`(
`v` int,
`id` int
)ENGINE=MyISAM;
